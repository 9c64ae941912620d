"""A column of texts as its distinct values and each row's place among them: what is done to a value is done once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Codes = NDArray[np.unsignedinteger[Any]]
_SMALL = 255


def coded(column: pl.Series, known: Sequence[str] = ()) -> tuple[pl.Series, Codes]:
    """The distinct texts, `known` first and then the others, sorted; and each row's place among them, (rows,), which is
    their number where the row is null. Texts that are known cost one look-up a row, others two.

    >>> levels, codes = coded(pl.Series(["no", None, "yes"]), known=["yes"])
    >>> levels.to_list(), codes.tolist()
    (['yes', 'no'], [1, 2, 0])
    """
    levels = pl.Series(known, dtype=pl.String)
    found: Any = column.cast(pl.Enum(levels), strict=False)
    if found.null_count() > column.null_count():
        others = column.filter(found.is_null()).drop_nulls().unique().sort()
        levels = pl.concat([levels, others.alias("")])
        found = column.cast(pl.Enum(levels))
    places = found.to_physical().cast(pl.UInt8 if len(levels) <= _SMALL else pl.UInt32)
    codes: Codes = (places.fill_null(len(levels)) if places.null_count() else places).to_numpy()
    return levels, codes
