"""How sure a figure is: 95% intervals of metrics, and of the difference between two models on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.evaluation.influence import Influence, influence, spread
from everfit.evaluation.metric_names import higher_is_better
from everfit.evaluation.metrics import confusion, names, predicted
from everfit.records.evaluation import Difference, Interval
from everfit.records.table import Task

Array = NDArray[Any]
Floats = NDArray[np.float64]

Z = 1.959964
_UNBOUNDED = ("log_loss", "rmse", "mae")
_IN_TARGET_UNITS = ("rmse", "mae")


def intervals(task: Task, y: Array, scores: Floats, threshold: float = 0.5) -> dict[str, Interval]:
    """The 95% interval of every metric that the rows define, but for ece.

    Accuracy, and precision and recall of the positive class, are shares of rows: Wilson (1927). The others are the
    value and its standard error from the influence functions, on a scale where they are closer to normal and cannot
    leave their range: the logit for what lies in 0..1, the logarithm for losses and for 1 - r2. ece has none: its
    estimate is biased upwards, and an interval around it would not hold the true value.

    >>> y, stated = np.array([0, 1] * 50), np.tile([0.3, 0.6, 0.6, 0.8], 25)
    >>> found = intervals(Task.BINARY, y, np.column_stack((1 - stated, stated)))["accuracy"]
    >>> round(found.low, 2), round(found.high, 2)
    (0.66, 0.82)
    """
    found = {name: influence(name, task, y, scores, threshold) for name in names(task) if name != "ece"}
    bounds = {name: around(name, task, y, each) for name, each in found.items() if np.isfinite(each.value)}
    if task is Task.REGRESSION:
        return bounds
    return bounds | {n: wilson(*counts) for n, counts in _shares(task, y, scores, threshold).items() if n in bounds}


def around(metric: str, task: Task, y: Array, found: Influence) -> Interval:
    """The 95% interval of a metric from the influence of the rows `y` on it, on the metric's own scale."""
    fewest = int(np.unique(y, return_counts=True)[1].min()) if task is not Task.REGRESSION else len(y)
    return _around(metric, found, fewest, 2.0 if metric == "brier" and task is Task.MULTICLASS else 1.0)


def wilson(hits: int, rows: int) -> Interval:
    """Wilson's (1927) 95% interval of a share; all of 0..1 where there are no rows.

    >>> round(wilson(90, 100).low, 3), round(wilson(90, 100).high, 3)
    (0.826, 0.945)
    """
    if not rows:
        return Interval(0.0, 1.0)
    share = hits / rows
    centre = (share + Z * Z / (2 * rows)) / (1 + Z * Z / rows)
    half = Z / (1 + Z * Z / rows) * float(np.sqrt(share * (1 - share) / rows + Z * Z / (4 * rows * rows)))
    return Interval(max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share)))


def difference(
    metric: str,
    task: Task,
    y: Array,
    challenger: tuple[Floats, float],
    champion: tuple[Floats, float],
    tolerance: float,
) -> Difference | None:
    """Two models, each as (scores, threshold), compared on the same rows; None where the metric is not defined.

    The rows' influences are subtracted before their spread is taken, so that what the models have in common cancels:
    for roc_auc this is DeLong's (1988) paired test. `tolerance` is in the metric's points; for rmse and mae, which have
    the target's unit, a share of the champion's value.
    """
    ours, theirs = (influence(metric, task, y, scores, threshold) for scores, threshold in (challenger, champion))
    if not (np.isfinite(ours.value) and np.isfinite(theirs.value)):
        return None
    sign = 1 if higher_is_better(metric) else -1
    moved, error = sign * (ours.value - theirs.value), spread(ours.rows - theirs.rows)
    room = tolerance * theirs.value if metric in _IN_TARGET_UNITS else tolerance
    low, high = moved - Z * error, moved + Z * error
    return Difference(metric, ours.value, theirs.value, moved, low, high, room, len(y))


def _around(metric: str, found: Influence, fewest: int, most: float) -> Interval:
    value, half = found.value, Z * found.error
    if metric in _UNBOUNDED:
        return Interval(*_stretched(value, half)) if value else Interval(0.0, 0.0)
    if metric == "r2":
        low, high = _stretched(1 - value, half) if value < 1 else (0.0, 0.0)
        return Interval(1 - high, 1 - low)
    if not 0 < value < most:
        # Nothing varied among the rows. What share of wrong ones could be missed with the chance of 2.5%, by so few?
        edge = 1 - 0.025 ** (1 / fewest)
        return Interval(most - edge, most) if value else Interval(0.0, edge)
    odds, share = value / (most - value), value / most
    low, high = _stretched(odds, half / most * odds / (share * (1 - share)))
    return Interval(most * low / (1 + low), most * high / (1 + high))


def _stretched(value: float, half: float) -> tuple[float, float]:
    """The value half an interval to each side on the scale of its logarithm."""
    factor = float(np.exp(min(half / value, 50)))
    return value / factor, value * factor


def _shares(task: Task, y: Array, scores: Floats, threshold: float) -> Mapping[str, tuple[int, int]]:
    """Hits and rows of the metrics that are a share of rows."""
    table = confusion(y, predicted(scores, task, threshold), scores.shape[1])
    found = {"accuracy": (int(table.trace()), len(y))}
    if task is Task.BINARY:
        hits = int(table[1, 1])
        found |= {"precision": (hits, int(table[:, 1].sum())), "recall": (hits, int(table[1].sum()))}
    return found
