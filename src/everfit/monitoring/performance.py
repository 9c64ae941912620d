"""Performance on predictions whose labels have come, held against the test."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from everfit.monitoring.columns import Floats
from everfit.monitoring.intervals import Interval, Measure, area, bootstrap_error, normal, wilson
from everfit.records.table import Task
from everfit.records.watch import PerformanceReport

LEAST_OF_A_CLASS = 10
LEAST_ROWS = 30
_IN_TARGET_UNITS = frozenset({"rmse", "mae"})


def performance(
    task: Task,
    y: NDArray[Any],
    scores: Floats,
    *,
    metric: str,
    measure: Measure,
    higher_is_better: bool,
    expected: float,
    expected_labels: int,
    tolerance: float,
    coverage: float,
    alpha: float,
    seed: int = 0,
) -> PerformanceReport:
    """The metric of the labelled predictions with its interval, and whether it has degraded.

    `y` (rows,) and `scores` (rows, classes) or (rows,) are as everywhere; `measure` computes `metric` from them and
    gives NaN where it is undefined. `expected` was measured on `expected_labels` test rows and is itself uncertain.
    Degraded means that the loss against `expected` exceeds `tolerance` by a one-sided bound of confidence 1 - `alpha`
    that counts the uncertainty of both sides (Zou and Donner 2008, which for accuracy is Newcombe's 1998 method 10):
    a model that has not fallen by more than the tolerance is called degraded with a chance of about `alpha` at most.
    The bounds `low` and `high` hold with confidence 1 - `alpha` each.

    Accuracy has Wilson's interval, the area under the ROC curve of a binary target Hanley and McNeil's, every other
    metric a bootstrapped standard error. For rmse and mae, which have the target's units, `tolerance` is a share of
    `expected`. With fewer than 10 labels in a class of those seen (accuracy excepted), or fewer than 30 in all, the
    value is reported without bounds and never called degraded.
    """
    value = float(measure(y, scores)) if len(y) else float("nan")
    low: float | None = None
    high: float | None = None
    degraded = False
    if np.isfinite(value) and _enough(task, y, metric):
        z = float(scipy.stats.norm.isf(alpha))
        now, then = _intervals(task, y, scores, metric, measure, value, expected, expected_labels, z, seed)
        low, high = _possible(task, now, higher_is_better)
        excess = _excess(then, now) if higher_is_better else _excess(now, then)
        degraded = excess > margin(metric, expected, tolerance)
    return PerformanceReport(
        metric=metric,
        value=value if np.isfinite(value) else None,
        low=low,
        high=high,
        expected=expected,
        labels=len(y),
        coverage=coverage,
        degraded=degraded,
        alpha=alpha,
    )


def margin(metric: str, expected: float, tolerance: float) -> float:
    """How far the metric may fall, in its own units: for rmse and mae `tolerance` is a share of `expected`.

    >>> margin("rmse", 50.0, 0.02), margin("roc_auc", 0.8, 0.02)
    (1.0, 0.02)
    """
    return tolerance * (abs(expected) if metric in _IN_TARGET_UNITS else 1.0)


def _possible(task: Task, found: Interval, higher_is_better: bool) -> tuple[float, float]:
    """The bounds, none beyond what the metric can be: a loss is never negative, and what is better when greater is at
    most 1, for classes at least 0. What is called degraded does not hang on it."""
    low = found.low if higher_is_better and task is Task.REGRESSION else max(found.low, 0.0)
    return low, min(found.high, 1.0) if higher_is_better else found.high


def _enough(task: Task, y: NDArray[Any], metric: str) -> bool:
    if len(y) < LEAST_ROWS:
        return False
    if task is Task.REGRESSION or metric == "accuracy":
        return True
    found = np.unique(y, return_counts=True)[1]
    return len(found) > 1 and int(found.min()) >= LEAST_OF_A_CLASS


def _intervals(
    task: Task,
    y: NDArray[Any],
    scores: Floats,
    metric: str,
    measure: Measure,
    value: float,
    expected: float,
    expected_labels: int,
    z: float,
    seed: int,
) -> tuple[Interval, Interval]:
    """The intervals of the value now and of the expected one; the test rows are taken to be like those now in their
    shares of the classes and, for bootstrapped metrics, in their spread."""
    if metric == "accuracy":
        return wilson(value, len(y), z), wilson(expected, expected_labels, z)
    if metric == "roc_auc" and task is Task.BINARY:
        positives = int(np.count_nonzero(y))
        then = max(1, round(positives / len(y) * expected_labels))
        now = area(value, positives, len(y) - positives, z)
        return now, area(expected, then, max(1, expected_labels - then), z)
    error = bootstrap_error(measure, y, scores, seed, by_class=task is not Task.REGRESSION)
    return normal(value, error, z), normal(expected, error * np.sqrt(len(y) / expected_labels), z)


def _excess(greater: Interval, lesser: Interval) -> float:
    """The least that `greater` is above `lesser`, at the confidence of their bounds."""
    apart = np.hypot(greater.value - greater.low, lesser.high - lesser.value)
    return float(greater.value - lesser.value - apart)
