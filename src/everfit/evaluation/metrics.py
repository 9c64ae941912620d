"""The metrics of a model on rows with known targets, by the names that everfit.yaml uses.

Classification: accuracy, precision, recall, f1 (binary: of the positive class; several classes: weighted),
precision_macro, recall_macro, f1_macro, precision_weighted, recall_weighted, f1_weighted, roc_auc (several classes:
the mean of one-vs-rest), log_loss, brier, ece (the expected calibration error). Regression: r2, rmse, mae.

A metric that the rows do not define is left out, never NaN:

- roc_auc where all rows are of one class; for several classes it is the mean over the classes that occur;
- precision, recall and f1 of a binary target without a positive row;
- r2 where the target is constant.

A class that is never predicted has precision 0. Macro means are over the classes that occur among the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from everfit.errors import ProjectError, StepFailed
from everfit.evaluation import losses
from everfit.evaluation.metric_names import CLASSIFICATION, REGRESSION, higher_is_better, unknown
from everfit.records.table import Task

Array = NDArray[Any]
Floats = NDArray[np.float64]
Metric = Callable[[Array, Floats], float]

UNDEFINED = float("nan")


def metrics(task: Task, y: Array, scores: Floats, classes: tuple[str, ...], threshold: float = 0.5) -> dict[str, float]:
    """All metrics of the task that the rows define.

    Classification: `y` (rows,) class indices, `scores` (rows, classes) probabilities; regression: both (rows,).
    StepFailed when there are no rows, or the scores are not finite or of another shape.

    >>> y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    >>> found = metrics(Task.BINARY, y, np.column_stack([1 - p, p]), ("No", "Yes"))
    >>> found["accuracy"], found["roc_auc"], found["brier"]
    (0.5, 0.75, 0.185)
    """
    check_scores(task, y, scores, classes)
    values = {name: metric(y, scores) for name, metric in _scored(task).items()}
    if task is not Task.REGRESSION:
        values |= _labelled(task, confusion(y, predicted(scores, task, threshold), len(classes)))
    return {name: values[name] for name in names(task) if np.isfinite(values[name])}


def over_folds(folds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """`mean_NAME` and `std_NAME` of each metric that all folds define; the deviation in its population form.

    >>> over_folds([{"f1": 0.5, "recall": 1.0}, {"f1": 0.7}])["mean_f1"]
    0.6
    """
    names = [name for name in (folds[0] if folds else ()) if all(name in fold for fold in folds)]
    values = {name: [fold[name] for fold in folds] for name in names}
    return {f"mean_{name}": float(np.mean(each)) for name, each in values.items()} | {
        f"std_{name}": float(np.std(each)) for name, each in values.items()
    }


def measure(metric: str, task: Task, classes: tuple[str, ...]) -> Metric:
    """The metric as a function of (y, scores) where greater is always better: losses are negated.

    Labels are taken at the threshold .5. The function can be sent to another process. ProjectError when the metric is
    not one of the task; calling it raises ProjectError on rows that do not define the metric.

    >>> measure("rmse", Task.REGRESSION, ())(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    -1.4142135623730951
    """
    if metric not in names(task):
        raise unknown(metric, names(task), f" for a {task} target")
    return partial(_greater_better, metric, task, classes)


def default_metric(task: Task) -> str:
    """What the best model is chosen by when the project does not say.

    >>> default_metric(Task.REGRESSION)
    'rmse'
    """
    return "rmse" if task is Task.REGRESSION else "roc_auc"


def names(task: Task) -> tuple[str, ...]:
    """The metrics of a task, in the order of reports."""
    return REGRESSION if task is Task.REGRESSION else CLASSIFICATION


def predicted(scores: Floats, task: Task, threshold: float = 0.5) -> Array:
    """Class indices (rows,) int64, or for regression the scores themselves.

    Binary: the positive class where its probability is at least `threshold`; several classes: the most probable.

    >>> predicted(np.array([[0.7, 0.3], [0.2, 0.8]]), Task.BINARY, 0.3).tolist()
    [1, 1]
    """
    if task is Task.REGRESSION:
        return scores
    if task is Task.BINARY:
        return (scores[:, 1] >= threshold).astype(np.int64)
    most: Array = np.argmax(scores, axis=1).astype(np.int64)
    return most


def confusion(y: Array, labels: Array, count: int) -> NDArray[np.int64]:
    """Rows by actual class (first axis) and predicted class (second axis), shape (count, count).

    >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    cells = np.bincount(y.astype(np.int64) * count + labels.astype(np.int64), minlength=count * count)
    return cells.reshape(count, count).astype(np.int64)


def by_class(table: NDArray[np.int64]) -> dict[str, Floats]:
    """Precision, recall and f1 of each class of a confusion matrix, each (classes,); 0 where nothing was to divide by.

    >>> by_class(np.array([[1, 0], [1, 1]]))["recall"].tolist()
    [1.0, 0.5]
    """
    hits = np.diagonal(table).astype(np.float64)
    actual, called = table.sum(axis=1), table.sum(axis=0)
    return {
        "precision": hits / np.maximum(called, 1),
        "recall": hits / np.maximum(actual, 1),
        "f1": 2 * hits / np.maximum(actual + called, 1),
    }


def area_under_roc(positive: NDArray[np.bool_], score: Floats) -> float:
    """The chance that a positive row scores above a negative one, ties counted half; NaN without both.

    By the ranks' sum: Hanley and McNeil (1982), from the Mann-Whitney statistic.

    >>> area_under_roc(np.array([False, True, True]), np.array([0.2, 0.2, 0.7]))
    0.75
    """
    ones = int(positive.sum())
    zeros = positive.size - ones
    if not ones or not zeros:
        return UNDEFINED
    above = float(scipy.stats.rankdata(score)[positive].sum()) - ones * (ones + 1) / 2
    return above / (ones * zeros)


def check_scores(task: Task, y: Array, scores: Floats, classes: tuple[str, ...]) -> None:
    """StepFailed unless there are rows, and one finite score (or one a class) for each."""
    shape = (len(y),) if task is Task.REGRESSION else (len(y), len(classes))
    if len(y) == 0:
        raise StepFailed("there are no rows to measure the model on", fix="raise `data.split.test`, or add rows")
    if scores.shape != shape:
        raise StepFailed(
            f"the model gave scores of shape {scores.shape} where {shape} was expected",
            fix="return one score a row for regression, and one probability a class and row for classification",
        )
    if not np.isfinite(scores).all():
        raise StepFailed(
            "the model's scores hold NaN or infinity", fix="look at the features' range, or drop the model"
        )


def _greater_better(metric: str, task: Task, classes: tuple[str, ...], y: Array, scores: Floats) -> float:
    check_scores(task, y, scores, classes)
    if metric in _scored(task):
        value = _scored(task)[metric](y, scores)
    else:
        value = _labelled(task, confusion(y, predicted(scores, task), len(classes)))[metric]
    if not np.isfinite(value):
        raise ProjectError(
            f"{metric} is not defined on these {len(y)} rows: a class is missing, or the target is constant",
            where="training.metric",
            fix="use fewer folds (training.budget.folds), more rows, or another training.metric",
        )
    return value if higher_is_better(metric) else -value


def _labelled(task: Task, table: NDArray[np.int64]) -> dict[str, float]:
    support = table.sum(axis=1)
    present = support > 0
    values = {"accuracy": float(np.trace(table) / support.sum())}
    for name, each in by_class(table).items():
        values[f"{name}_macro"] = float(each[present].mean())
        values[f"{name}_weighted"] = float(each @ support / support.sum())
        positive = float(each[-1]) if present[-1] else UNDEFINED
        values[name] = positive if task is Task.BINARY else values[f"{name}_weighted"]
    return values


def _roc_auc(y: Array, scores: Floats) -> float:
    if scores.shape[1] == 2:
        return area_under_roc(y == 1, scores[:, 1])
    areas = [area_under_roc(y == index, scores[:, index]) for index in np.unique(y)]
    return float(np.mean(areas))


def _log_loss(y: Array, scores: Floats) -> float:
    return float(losses.log_loss(y, scores).mean())


def _brier(y: Array, scores: Floats) -> float:
    return float(losses.brier(y, scores).mean())


def _ece(y: Array, scores: Floats) -> float:
    return float(losses.miscalibration(y, scores).mean())


def _r2(y: Array, scores: Floats) -> float:
    total = float(np.square(y - y.mean()).sum())
    return 1 - float(np.square(y - scores).sum()) / total if total > 0 else UNDEFINED


def _rmse(y: Array, scores: Floats) -> float:
    return float(np.sqrt(np.square(y - scores).mean()))


def _mae(y: Array, scores: Floats) -> float:
    return float(np.abs(y - scores).mean())


def _scored(task: Task) -> Mapping[str, Metric]:
    return _REGRESSION if task is Task.REGRESSION else _PROBABILITY


_PROBABILITY: Mapping[str, Metric] = MappingProxyType(
    {"roc_auc": _roc_auc, "log_loss": _log_loss, "brier": _brier, "ece": _ece}
)
_REGRESSION: Mapping[str, Metric] = MappingProxyType({"r2": _r2, "rmse": _rmse, "mae": _mae})
