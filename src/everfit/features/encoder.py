"""From features to the matrix that a model reads: fitted on training rows, the same for a table and for one row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.errors import StepFailed
from everfit.records.features import CategoricalEncoding, Encoder, NumericEncoding
from everfit.records.table import Kind

Array = NDArray[Any]
# A table's column of text may stay as polars has it: the codes of an Enum are counted and looked up by the level.
Column = Array | pl.Series
Matrix = NDArray[np.float64]

MAX_LEVELS = 50
# Models that work in float32 overflow near 3.4e38; no order of values is lost below this.
_LIMIT = 1e30


def fit(
    columns: Mapping[str, Column], kinds: Mapping[str, Kind], names: Sequence[str], max_levels: int = MAX_LEVELS
) -> Encoder:
    """The encoder of `names`, learned from training rows and nothing else.

    Numeric columns: missing and infinite values become the median, then (x - mean) / standard deviation (population
    form; scale 1 for a constant). Boolean ones: the same with the more frequent value. Both get an indicator column if
    a value was missing here. Categorical ones: the `max_levels` most frequent levels, sorted. Raises StepFailed for a
    feature of another kind or without values.

    >>> encoder = fit({"x": np.array([1.0, 3.0, np.nan])}, {"x": Kind.NUMERIC}, ["x"])
    >>> output_names(encoder), encoder.numeric[0].fill
    (('x', 'x?'), 2.0)
    """
    numeric = tuple(_numeric(n, kinds[n], columns[n]) for n in names if kinds[n] in (Kind.NUMERIC, Kind.BOOLEAN))
    categorical = tuple(_categorical(n, columns[n], max_levels) for n in names if kinds[n] is Kind.CATEGORICAL)
    if len(numeric) + len(categorical) != len(names):
        odd = next(n for n in names if kinds[n] not in (Kind.NUMERIC, Kind.BOOLEAN, Kind.CATEGORICAL))
        raise StepFailed(
            f"a column of the kind {kinds[odd].value} cannot be encoded",
            where=odd,
            fix="make a number or a text of it by a function in features.py",
        )
    return Encoder(numeric, categorical)


def transform(encoder: Encoder, columns: Mapping[str, Column], out: Matrix | None = None) -> Matrix:
    """The (rows, outputs) matrix in the order of `output_names`; each row depends on nothing but that row.

    Missing numbers are filled and marked where the encoder has an indicator; missing and unseen levels are all zeros,
    so the matrix holds no NaN. It is written into `out` where that is given. Raises StepFailed when a feature is
    absent.
    """
    return _transformer(encoder)(columns, out)


def output_names(encoder: Encoder) -> tuple[str, ...]:
    """A name for each column of the matrix: `age`, `age?` (was missing), `Contract=One year`."""
    names = [name for e in encoder.numeric for name in ((e.name, f"{e.name}?") if e.indicator else (e.name,))]
    return (*names, *(f"{e.name}={level}" for e in encoder.categorical for level in e.levels))


def output_features(encoder: Encoder) -> tuple[str, ...]:
    """The feature that each column of the matrix comes from."""
    names = [name for e in encoder.numeric for name in ((e.name, e.name) if e.indicator else (e.name,))]
    return (*names, *(e.name for e in encoder.categorical for _ in e.levels))


def _numeric(name: str, kind: Kind, column: Column) -> NumericEncoding:
    values = np.asarray(column, dtype=np.float64)
    missing = ~np.isfinite(values)
    seen = values[~missing]
    filled = np.where(missing, fill := _fill(kind, seen), values)
    mean, scale = (float(filled.mean()), float(filled.std())) if len(filled) else (0.0, 1.0)
    if not scale > abs(mean) * 1e-12:  # a constant, but for rounding
        scale = 1.0
    return NumericEncoding(name, kind, fill, mean, scale, bool(missing.any()))


def _fill(kind: Kind, seen: Matrix) -> float:
    if not len(seen):
        return 0.0
    return float(seen.mean() > 0.5) if kind is Kind.BOOLEAN else float(np.median(seen))


def _categorical(name: str, column: Column, max_levels: int) -> CategoricalEncoding:
    counts = _counts(column)
    counts.pop("", None)
    frequent = sorted(counts, key=lambda level: (-counts[level], level))[:max_levels]
    return CategoricalEncoding(name, tuple(sorted(frequent)))


def _counts(column: Column) -> dict[str, int]:
    if isinstance(column, pl.Series):
        found = column.drop_nulls().alias("level").value_counts()
        return dict(found.with_columns(pl.col("level").cast(pl.String)).iter_rows())
    return Counter(map(_level, column))


def _level(value: object) -> str:
    return value if isinstance(value, str) else ""


class _Codes(dict[object, int]):
    """Level to position; -1 for everything else."""

    def __missing__(self, key: object) -> int:
        return -1

    def of(self, column: Column) -> NDArray[np.intp]:
        """(rows,) the position of each value's level."""
        if not isinstance(column, pl.Series):
            return np.fromiter(map(self.__getitem__, column), np.intp, len(column))
        if not isinstance(column.dtype, pl.Enum):
            return self.of(column.to_numpy())
        levels = column.dtype.categories.to_list()
        by_code = np.fromiter(map(self.__getitem__, [*levels, None]), np.intp, len(levels) + 1)
        codes: NDArray[np.uint32] = column.to_physical().cast(pl.UInt32).fill_null(len(levels)).to_numpy()
        return by_code[codes].astype(np.intp, copy=False)


class _Transformer:
    """An encoder with its numbers laid out for arithmetic on all columns at once."""

    def __init__(self, encoder: Encoder) -> None:
        numeric = encoder.numeric
        self.numeric = [e.name for e in numeric]
        self.fill, self.mean, self.scale = (
            np.array([getattr(e, n) for e in numeric]) for n in ("fill", "mean", "scale")
        )
        widths = [2 if e.indicator else 1 for e in numeric]
        self.value_at = np.cumsum([0, *widths])[: len(numeric)].astype(np.intp)
        self.marked = np.array([i for i, e in enumerate(numeric) if e.indicator], dtype=np.intp)
        starts = np.cumsum([sum(widths), *(len(e.levels) for e in encoder.categorical)])
        self.width = int(starts[-1])
        self.categorical = [
            (e.name, int(start), _Codes({level: i for i, level in enumerate(e.levels)}))
            for e, start in zip(encoder.categorical, starts, strict=False)
        ]

    def __call__(self, columns: Mapping[str, Column], out: Matrix | None = None) -> Matrix:
        try:
            return self._matrix(columns, out)
        except KeyError as error:
            raise StepFailed(
                "a feature that the model reads is absent",
                where=str(error.args[0]),
                fix="give every feature of the encoder; a missing value is NaN or None",
            ) from error

    def _matrix(self, columns: Mapping[str, Column], out: Matrix | None) -> Matrix:
        names = self.numeric or [name for name, _, _ in self.categorical]
        rows = len(columns[names[0]]) if names else 0
        if out is None:
            out = np.zeros((rows, self.width))
        else:
            out[:] = 0.0
        raw = np.empty((rows, len(self.numeric)))
        for i, name in enumerate(self.numeric):
            raw[:, i] = columns[name]
        missing = ~np.isfinite(raw)
        with np.errstate(over="ignore"):
            scaled = (np.where(missing, self.fill, raw) - self.mean) / self.scale
        out[:, self.value_at] = np.clip(scaled, -_LIMIT, _LIMIT)
        out[:, self.value_at[self.marked] + 1] = missing[:, self.marked]
        for name, start, codes in self.categorical:
            found = codes.of(columns[name])
            known = np.flatnonzero(found >= 0)
            out[known, start + found[known]] = 1.0
        return out


_transformer = lru_cache(maxsize=32)(_Transformer)
