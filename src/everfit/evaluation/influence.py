"""How much each row moves a metric: the one device behind intervals, paired comparisons and slices.

The influence function of a metric (Hampel, 1974) gives each row's first-order effect on it. Its spread over the rows
is the metric's standard error (the infinitesimal jackknife, Efron 1982, chapter 6), and the spread of the difference of
two models' influences on the same rows is that of the difference of their metrics. For the area under the ROC curve
this is the method of DeLong, DeLong and Clarke-Pearson (1988), computed from ranks as Sun and Xu (2014) do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from everfit.evaluation import losses
from everfit.evaluation.metrics import predicted
from everfit.records.table import Task

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Influence:
    """A metric's `value` and (rows,) how far each row moves it, times the number of rows."""

    value: float
    rows: Floats

    @property
    def error(self) -> float:
        """The standard error of the value."""
        return spread(self.rows)


def spread(rows: Floats) -> float:
    """The standard error of a metric, or of a difference of two, from its influences."""
    return float(np.sqrt(np.square(rows).sum()) / len(rows))


def influence(metric: str, task: Task, y: Array, scores: Floats, threshold: float = 0.5) -> Influence:
    """The influence of each row on a metric by the names of `metrics`, all of which have one.

    `y` and `scores` are those of `metrics.metrics`, and the value is the same. A metric that the rows do not define has
    the value NaN.

    >>> y, stated = np.array([0, 1, 1, 0]), np.array([0.1, 0.4, 0.8, 0.6])
    >>> found = influence("accuracy", Task.BINARY, y, np.column_stack((1 - stated, stated)))
    >>> found.value, round(found.error, 3)
    (0.5, 0.289)
    """
    if task is Task.REGRESSION:
        return _of_values(metric, y, scores)
    if metric == "roc_auc":
        return _areas(y, scores)
    if metric in ("log_loss", "brier", "ece"):
        rows = {"log_loss": losses.log_loss, "brier": losses.brier, "ece": losses.miscalibration}[metric]
        return _mean(rows(y, scores))
    labels = predicted(scores, task, threshold)
    if metric == "accuracy":
        return _mean(labels == y)
    name, _, average = metric.partition("_")
    if average or task is Task.MULTICLASS:
        return _average(name, average or "weighted", y, labels, scores.shape[1])
    return _of_class(name, y == 1, labels == 1) if (y == 1).any() else Influence(np.nan, np.zeros(len(y)))


def area(positive: NDArray[np.bool_], score: Floats) -> Influence:
    """The influence of each row on the area under the ROC curve; NaN where all rows are of one class.

    DeLong's structural components, each class's drawn out by n / (n - 1) under the root as in his variance.
    """
    ones, zeros, rows = int(positive.sum()), int((~positive).sum()), len(positive)
    if not ones or not zeros:
        return Influence(np.nan, np.zeros(rows))
    every = scipy.stats.rankdata(score)
    found = np.empty(rows)
    found[positive] = (every[positive] - scipy.stats.rankdata(score[positive])) / zeros
    found[~positive] = 1 - (every[~positive] - scipy.stats.rankdata(score[~positive])) / ones
    value = float(found[positive].mean())
    weight = np.where(positive, rows / ones * _unbiased(ones), rows / zeros * _unbiased(zeros))
    return Influence(value, (found - value) * weight)


def _unbiased(rows: int) -> float:
    return float(np.sqrt(rows / max(rows - 1, 1)))


def _areas(y: Array, scores: Floats) -> Influence:
    if scores.shape[1] == 2:
        return area(y == 1, scores[:, 1])
    found = [area(y == index, scores[:, index]) for index in np.unique(y)]
    return Influence(float(np.mean([each.value for each in found])), np.mean([each.rows for each in found], axis=0))


def _mean(rows: Array) -> Influence:
    value = float(rows.mean())
    return Influence(value, (rows - value) * _unbiased(len(rows)))


def _ratio(above: Array, below: Array) -> Influence:
    """Of a ratio of two sums; 0 where there is nothing to divide by."""
    total = float(below.mean())
    if not total:
        return Influence(0.0, np.zeros(len(below)))
    value = float(above.mean()) / total
    return Influence(value, (above - value * below) / total * _unbiased(len(below)))


def _of_class(name: str, actual: NDArray[np.bool_], called: NDArray[np.bool_]) -> Influence:
    hit = (actual & called).astype(np.float64)
    if name == "precision":
        return _ratio(hit, called)
    return _ratio(hit, actual) if name == "recall" else _ratio(2 * hit, actual.astype(np.float64) + called)


def _average(name: str, average: str, y: Array, labels: Array, classes: int) -> Influence:
    """Over the classes that occur: each the same (macro), or by its share of the rows, which varies too."""
    present = [index for index in range(classes) if (y == index).any()]
    each = [_of_class(name, y == index, labels == index) for index in present]
    if average == "macro":
        return Influence(float(np.mean([one.value for one in each])), np.mean([one.rows for one in each], axis=0))
    share = [_mean(y == index) for index in present]
    rows = sum(
        (s.value * one.rows + one.value * s.rows for s, one in zip(share, each, strict=True)), start=np.zeros(len(y))
    )
    return Influence(float(sum(s.value * one.value for s, one in zip(share, each, strict=True))), rows)


def _of_values(metric: str, y: Array, scores: Floats) -> Influence:
    error = y - scores
    if metric == "mae":
        return _mean(np.abs(error))
    square = _mean(np.square(error))
    if metric == "rmse":
        root = float(np.sqrt(square.value))
        return Influence(root, square.rows / (2 * root) if root else square.rows)
    spent = _ratio(np.square(error), np.square(y - y.mean()))
    return Influence(1 - spent.value if np.ptp(y) else np.nan, -spent.rows)
