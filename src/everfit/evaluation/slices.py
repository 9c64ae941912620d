"""Where the model is worse: its metric on parts of the test rows, each against all other rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from everfit.evaluation.influence import influence
from everfit.evaluation.intervals import around
from everfit.evaluation.metric_names import higher_is_better
from everfit.records.evaluation import Slice, Slices
from everfit.records.table import Task

Array = NDArray[Any]
Floats = NDArray[np.float64]

LEAST = 30
_MOST_LEVELS = 20
_BINS = 4
_KEPT = 60
_ALPHA = 0.05
_ONE_SIDED = 1.644854
# Beyond it every k-th row is looked at.
_ROWS = 50_000


def slices(
    columns: Mapping[str, Array], metric: str, task: Task, y: Array, scores: Floats, threshold: float = 0.5
) -> Slices:
    """The `metric` on each level of the text and boolean columns, and on quarters of the numeric ones.

    `columns` hold the test rows, (rows,) each: float64 with NaN, bool, or text with None; a missing value is a level
    of its own. The twenty most frequent levels of a column are looked at. A part of fewer than 30 rows, or in which
    the metric is not defined, is left out and counted.

    Each part is compared with all other rows by the metrics' difference and its standard error. A part is marked when
    it is worse than the others by a one-sided test, after Holm's (1979) correction over all parts: with a chance of 5%
    any part at all is marked where there is nothing. The parts that are worst for certain come first: by the end of
    the difference's one-sided 95% interval that is nearer to 0. The sixty worst are kept.
    """
    step = -(-len(y) // _ROWS)
    columns = {name: values[::step] for name, values in columns.items()}
    y, scores = y[::step], scores[::step]
    found: list[Slice] = []
    small = 0
    for column, level, rows in _parts(columns):
        one = _slice(column, level, rows, metric, task, y, scores, threshold) if rows.sum() >= LEAST else None
        small += one is None
        found += [one] if one else []
    marked = _marked(found)
    order = sorted(
        range(len(found)), key=lambda i: (i not in marked, found[i].difference + _ONE_SIDED * found[i].error)
    )
    kept = [replace(found[i], marked=i in marked) for i in order[:_KEPT]]
    return Slices(metric, tuple(kept), len(found), small)


def _parts(columns: Mapping[str, Array]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    for name, values in columns.items():
        parts = _quarters(values) if values.dtype.kind == "f" else _levels(values)
        for level, rows in parts:
            if not rows.all():
                yield name, level, rows


def _levels(values: Array) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    text = np.array(["missing" if value is None else str(value) for value in values.tolist()], dtype=object)
    names, rows = np.unique(text.astype(str), return_counts=True)
    for name in names[np.argsort(-rows, kind="stable")][:_MOST_LEVELS]:
        yield str(name), text == name


def _quarters(values: Floats) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    missing = np.isnan(values)
    known = values[~missing]
    distinct = np.unique(known)
    if len(distinct) <= _BINS:
        for value in distinct:
            yield f"{value:g}", values == value
    else:
        cuts = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)))
        for low, high in pairwise(cuts):
            inside = (values >= low) & ((values < high) | (high == cuts[-1]))
            yield f"{low:.4g} to {high:.4g}", inside & ~missing
    if missing.any():
        yield "missing", missing


def _slice(
    column: str, level: str, rows: NDArray[np.bool_], metric: str, task: Task, y: Array, scores: Floats, at: float
) -> Slice | None:
    own, rest = (influence(metric, task, y[part], scores[part], at) for part in (rows, ~rows))
    if not (np.isfinite(own.value) and np.isfinite(rest.value)):
        return None
    sign = 1 if higher_is_better(metric) else -1
    error = float(np.hypot(own.error, rest.error))
    moved = sign * (own.value - rest.value)
    p_value = float(scipy.special.ndtr(moved / error)) if error else float(moved >= 0)
    stated, observed = _means(task, y[rows], scores[rows])
    bounds = around(metric, task, y[rows], own)
    return Slice(column, level, int(rows.sum()), own.value, bounds, moved, error, p_value, stated, observed)


def _means(task: Task, y: Array, scores: Floats) -> tuple[float | None, float | None]:
    if task is Task.MULTICLASS:
        return None, None
    said = scores if task is Task.REGRESSION else scores[:, 1]
    return float(said.mean()), float(y.mean())


def _marked(found: list[Slice]) -> set[int]:
    """Holm (1979): the smallest p-values, each against what is left of the error rate."""
    marked: set[int] = set()
    order = sorted(range(len(found)), key=lambda i: found[i].p_value)
    for rank, place in enumerate(order):
        if found[place].p_value > _ALPHA / (len(found) - rank):
            break
        marked.add(place)
    return marked
