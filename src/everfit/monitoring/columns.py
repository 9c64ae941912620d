"""A column's values as the tests of drift read them: numbers with NaN, or counts by level."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.records.table import Kind

Floats = NDArray[np.float64]

NUMBERS = frozenset({Kind.NUMERIC, Kind.BOOLEAN, Kind.DATE})
BUCKETS = 64
_LARGEST = float(np.finfo(np.float64).max)


def numbers(values: NDArray[Any], kind: Kind) -> Floats:
    """(rows,) float64 with NaN for missing; dates become seconds since 1970.

    Infinite values become the largest finite float of their sign: they keep their rank, and JSON can hold them.

    >>> numbers(np.array(["1970-01-02", "NaT"], dtype="datetime64[us]"), Kind.DATE)
    array([86400.,    nan])
    """
    if kind is Kind.DATE:
        times = values.astype("datetime64[us]")
        seconds: Floats = times.astype(np.int64) / 1e6
        return np.where(np.isnat(times), np.nan, seconds)
    return np.clip(np.asarray(values, dtype=np.float64), -_LARGEST, _LARGEST)


def counts(values: NDArray[Any]) -> dict[str, int]:
    """Rows by level, most frequent first and equal ones by name; missing values are left out.

    >>> counts(np.array(["b", None, "a", "b"], dtype=object))
    {'b': 2, 'a': 1}
    """
    series = pl.Series("level", values.tolist(), dtype=pl.String).drop_nulls()
    table = series.value_counts().sort(["count", "level"], descending=[True, False])
    return dict(zip(table["level"].to_list(), table["count"].to_list(), strict=True))


def hashed(levels: Mapping[str, int]) -> dict[str, int]:
    """The counts by hash bucket, `#0` to `#63`.

    Naming only the most frequent levels of the reference would favour levels that were frequent by luck, so that the
    next sample would look as if it had drifted; a hash knows no frequencies.

    >>> hashed({"a": 2, "b": 1})
    {'#3': 2, '#57': 1}
    """
    buckets: dict[str, int] = {}
    for level, rows in levels.items():
        bucket = f"#{zlib.crc32(level.encode('utf-8', 'surrogatepass')) % BUCKETS}"
        buckets[bucket] = buckets.get(bucket, 0) + rows
    return buckets


def missing(values: NDArray[Any], kind: Kind) -> int:
    """How many values are missing: NaN, NaT or None.

    >>> missing(np.array([1.0, np.nan]), Kind.NUMERIC), missing(np.array(["a", None], dtype=object), Kind.TEXT)
    (1, 1)
    """
    if kind in NUMBERS:
        return int(np.isnan(numbers(values, kind)).sum())
    return list(values.tolist()).count(None)
