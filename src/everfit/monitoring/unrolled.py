"""A profile as rows again, for programs that read nothing but rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from everfit.monitoring.profile import SAMPLE
from everfit.records.profile import ColumnProfile


def rows(columns: Sequence[ColumnProfile], count: int = SAMPLE) -> pl.DataFrame:
    """A table of `count` rows in which each column has the profile's distribution and share of missing values; which
    values stand in one row means nothing, for a profile knows each column alone. Columns that a profile cannot give
    back (identifiers, text, levels kept by their hash) are left out. Dates are seconds since 1970.

    >>> from everfit.records.table import Kind
    >>> rows([ColumnProfile("plan", Kind.CATEGORICAL, 4, 1, counts={"a": 2, "b": 1})], 4)["plan"].to_list()
    ['a', 'a', 'b', None]
    """
    found = [one for known in columns if (one := _column(known, count)) is not None]
    return pl.DataFrame(found)


def _column(known: ColumnProfile, count: int) -> pl.Series | None:
    missing = round(count * known.nulls / known.rows) if known.rows else 0
    there = count - missing
    if known.sample:
        sample = np.asarray(known.sample)
        # The middles of equal shares of the values, so that neither end counts more than it should.
        places = ((np.arange(there) + 0.5) * len(sample) / max(there, 1)).astype(np.int64)
        return pl.Series(known.name, [*sample[places].tolist(), *[None] * missing], pl.Float64)
    if known.counts and not known.hashed:
        ends = np.cumsum(list(known.counts.values()))
        shares = (np.arange(there) + 0.5) / max(there, 1) * ends[-1]
        levels = [list(known.counts)[place] for place in np.searchsorted(ends, shares, side="right")]
        return pl.Series(known.name, [*levels, *[None] * missing], pl.String)
    return None
