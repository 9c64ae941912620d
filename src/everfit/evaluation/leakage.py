"""What looks as if the model were told the answer: warnings for a person to judge, that stop nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.evaluation.influence import area, influence
from everfit.evaluation.intervals import Z
from everfit.records.evaluation import LeakageWarning, LeakKind
from everfit.records.table import Task

Array = NDArray[Any]
Floats = NDArray[np.float64]
Columns = Mapping[str, Array]

# Surely more than this, from one feature alone, is rarely honest.
_MOST_AREA = 0.95
_MOST_R2 = 0.95
_BINS = 50
_FEWEST = 10
_DISTINCT = 0.98
_FUTURE = 0.001
_REPEATED = 0.01
_ROWS = 50_000
_NAME = re.compile(r"(^|[_\s.-])(id|uuid|guid|key|nr|no|number|index|idx|row)$", re.IGNORECASE)
_CAMEL = re.compile(r"[a-z](Id|ID|Key|No|Nr|Number|Index)$")


def warnings(features: pl.DataFrame, y: Array, test: NDArray[np.bool_], task: Task) -> tuple[LeakageWarning, ...]:
    """What is suspicious about the features of all rows: Float64 with NaN, or String with null, for missing.

    `y` are (rows,) class indices or values, `test` is true for test rows. Looked for are, on the training rows, a
    feature that predicts the target alone and a feature that numbers the rows; and test rows that stand among the
    training rows. For columns from the future see `future`.
    """
    training = np.flatnonzero(~test)
    training = training[:: max(1, -(-len(training) // _ROWS))]
    columns = {column.name: column.to_numpy() for column in features[training]}
    return (*_alone(columns, y[training], task), *_identifiers(columns), *_repeated(features, y, test))


def future(dates: Columns, times: Array) -> tuple[LeakageWarning, ...]:
    """Dates that the features read, (rows,) datetime64 each, that lie after the row's own time: what was not known
    when the row was true. Warned of when more than one row in a thousand has one."""
    found = []
    for name, values in dates.items():
        known = ~(np.isnat(values) | np.isnat(times))
        share = float((values[known] > times[known]).mean()) if known.any() else 0.0
        if share > _FUTURE:
            reason = f"{share:.1%} of its dates lie after the row's own time: it may not have been known then"
            found.append(LeakageWarning(LeakKind.FUTURE, name, reason))
    return tuple(found)


def _alone(columns: Columns, y: Array, task: Task) -> Iterator[LeakageWarning]:
    half = np.random.default_rng(len(y)).permutation(len(y)) % 2 == 0
    for name, values in columns.items():
        codes = _codes(values)
        if task is Task.REGRESSION:
            found = influence("r2", task, y, _encoded(codes, y, half))
            if found.value - Z * found.error > _MOST_R2:
                reason = f"it explains {found.value:.1%} of the target's variance alone"
                yield LeakageWarning(LeakKind.PREDICTS_ALONE, name, reason)
            continue
        classes = [index for index, many in enumerate(np.bincount(y)) if _FEWEST <= many <= len(y) - _FEWEST]
        areas = [area(y == index, _encoded(codes, y == index, half)) for index in classes]
        best = max(areas, key=lambda one: one.value, default=None)
        if best is not None and best.value - Z * best.error > _MOST_AREA:
            reason = f"it tells the classes apart alone: an area under the ROC curve of {best.value:.3f}"
            yield LeakageWarning(LeakKind.PREDICTS_ALONE, name, reason)


def _encoded(codes: NDArray[np.int64], y: Array, half: NDArray[np.bool_]) -> Floats:
    """Each row's mean target of the other half's rows of the same code, drawn towards the mean of all by one row."""
    scores = np.empty(len(y))
    count = int(codes.max()) + 1
    for own in (half, ~half):
        base = y[~own].mean() if (~own).any() else 0.0
        rows = np.bincount(codes[~own], minlength=count)
        total = np.bincount(codes[~own], y[~own], minlength=count)
        scores[own] = ((total + base) / (rows + 1))[codes[own]]
    return scores


def _codes(values: Array) -> NDArray[np.int64]:
    """(rows,) the level of text, or the bin of numbers, missing values in one of their own."""
    if values.dtype.kind != "f":
        return np.unique(np.array([str(value) for value in values.tolist()]), return_inverse=True)[1]
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    cuts = distinct[1:] if len(distinct) <= _BINS else np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.where(np.isnan(values), len(cuts) + 1, np.searchsorted(cuts, values, side="right"))


def _identifiers(columns: Columns) -> Iterator[LeakageWarning]:
    for name, values in columns.items():
        number = values.dtype.kind == "f"
        present = values[~np.isnan(values)] if number else values[values != np.array(None)].astype(str)
        distinct = np.unique(present)
        if len(present) < 10 * _FEWEST or len(distinct) < _DISTINCT * len(present):
            continue
        if not number or (not np.mod(present, 1).any() and _numbers_rows(name, present, distinct)):
            reason = (
                f"{len(distinct):,} different values in {len(present):,} rows: it names rows, not what they are like"
            )
            yield LeakageWarning(LeakKind.IDENTIFIER, name, reason)


def _numbers_rows(name: str, present: Floats, distinct: Floats) -> bool:
    """Whole numbers that are all different: by their name, without gaps, or in the order of the table."""
    named = bool(_NAME.search(name) or _CAMEL.search(name))
    dense = distinct[-1] - distinct[0] < 2 * len(present)
    steps = np.diff(present)
    return named or bool(dense) or bool((steps > 0).all() or (steps < 0).all())


def _repeated(features: pl.DataFrame, y: Array, test: NDArray[np.bool_]) -> Iterator[LeakageWarning]:
    """Test rows that are training rows, target and all, where rows are as good as all different otherwise."""
    if not test.any() or test.all() or not features.width:
        return
    rows = features.with_columns(pl.Series("", y)).hash_rows().to_numpy()
    share = float(np.isin(rows[test], rows[~test]).mean())
    if share > _REPEATED and len(np.unique(rows)) > len(y) / 2:
        reason = f"{share:.1%} of the test rows also stand among the training rows, with the same features and target"
        yield LeakageWarning(LeakKind.REPEATED, None, reason)
