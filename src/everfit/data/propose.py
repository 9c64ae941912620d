"""The checks that `everfit init` writes: what this table keeps, with room for the next one to differ."""

from __future__ import annotations

import math
from collections.abc import Iterator

from everfit.data.target import MOST_CLASSES
from everfit.project.sections.data import Bounds, Check, ColumnCheck, TableCheck
from everfit.records.table import Column, Kind, Schema

# More levels than this are expected to grow; listing them would only raise false alarms.
_FEW_LEVELS = 12


def checks(schema: Schema, rows: int, target: str | None) -> tuple[Check, ...]:
    """Bounds that the table of `rows` rows keeps itself: half its rows, null shares and ranges with slack, the levels
    of small categories, uniqueness of an identifier without repeats, and half the share of the rarest class.

    >>> schema = Schema((Column("tenure", Kind.NUMERIC, distinct=73, minimum=0, maximum=72, whole=True),))
    >>> proposed = checks(schema, 7043, None)
    >>> proposed[0].rows.min, proposed[1].min, proposed[1].max
    (3521.0, 0.0, 150.0)
    """
    table = TableCheck(rows=Bounds(min=max(1, rows // 2)))
    columns = (_column(column, rows) for column in schema.columns if column.name != target)
    classes = _classes(schema[target], rows) if target in schema.names else ()
    return (table, *(one for one in columns if one is not None), *classes)


def _column(column: Column, rows: int) -> ColumnCheck | None:
    if column.null_share == 1 or not rows:
        return None
    low, high = _range(column) if column.kind is Kind.NUMERIC else (None, None)
    unique = column.kind is Kind.IDENTIFIER and column.distinct == rows
    allowed = column.levels if column.kind is Kind.CATEGORICAL and len(column.levels) <= _FEW_LEVELS else None
    return ColumnCheck(
        column=column.name,
        type=column.kind,
        nulls=0.0 if unique else _null_ceiling(column.null_share),
        min=low,
        max=high,
        allowed=allowed or None,
        unique=unique,
    )


def _null_ceiling(share: float) -> float:
    """Twice the share seen, in whole percents, and at least 1%: one blank must not stop the next run."""
    return min(1.0, max(0.01, math.ceil(200 * share) / 100))


def _range(column: Column) -> tuple[float | None, float | None]:
    """Half the span added at each end, to two digits; what is never negative stays so, and a share stays below 1."""
    low, high = column.minimum, column.maximum
    if low is None or high is None:
        return None, None
    if low >= 0 and high <= 1 and not column.whole:
        return 0.0, 1.0
    slack = max((high - low) / 2, abs(high) / 2, 1.0) if low >= 0 else max((high - low) / 2, 1.0)
    top = min(0.0, _round_up(high + slack)) if high <= 0 and low < 0 else _round_up(high + slack)
    return (0.0 if low >= 0 else -_round_up(slack - low)), top


def _round_up(value: float) -> float:
    """Up to the next number of the form 1, 1.5, 2, 3, 5, 7 or 10 times a power of ten (down to it below zero)."""
    if value <= 0:
        return -_round_down(-value)
    power = 10.0 ** math.floor(math.log10(value))
    step = next(step for step in (1, 1.5, 2, 3, 5, 7, 10, 15) if value <= step * power * (1 + 1e-12))
    return float(f"{step * power:.12g}")


def _round_down(value: float) -> float:
    if value == 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    step = next(step for step in (10, 7, 5, 3, 2, 1.5, 1) if value >= step * power * (1 - 1e-12))
    return float(f"{step * power:.12g}")


def _classes(column: Column, rows: int) -> Iterator[TableCheck]:
    if 2 <= len(column.counts) <= MOST_CLASSES and rows:
        yield TableCheck(class_share=float(f"{min(column.counts) / rows / 2:.1g}"))
