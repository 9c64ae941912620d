"""What drift probably costs, while labels are not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from everfit.monitoring.columns import Floats
from everfit.records.profile import LossModel
from everfit.records.table import Task
from everfit.records.watch import ImpactEstimate


def impact(
    task: Task, reference: Sequence[float] | Floats, current: Sequence[float] | Floats, threshold: float = 0.5
) -> ImpactEstimate | None:
    """The accuracy to expect from the scores alone, on reference and on current rows, and the drop between them.

    Scores, (rows,) each, are those of the prediction log: the probability of the positive class, predicted from
    `threshold` on, or of the predicted class where there are several. A prediction made with probability q is right
    with probability q if the model is calibrated, so the mean of q is the expected accuracy: the idea of
    confidence-based performance estimation (NannyML's CBPE; Guillory et al. 2021, "difference of confidences").

    It sees rows move to where the model is less sure. It cannot see that the relation of target and features has
    changed, nor a model that is sure and wrong on rows unlike its training's: only labels show those. Its error is that
    of the two means. Regression has
    no probabilities (see `loss_impact`): None, as also when one side has no scores.

    >>> impact(Task.BINARY, [0.1, 0.9], [0.4, 0.6]).drop
    0.3
    """
    then, now = _present(reference), _present(current)
    if task is Task.REGRESSION or not len(then) or not len(now):
        return None
    sides = [confidence(task, side, threshold) for side in (then, now)]
    before, after = (float(side.mean()) for side in sides)
    error = float(np.hypot(_error(sides[0]), _error(sides[1])))
    return ImpactEstimate("accuracy", before, after, round(before - after, 12), error=error)


def _error(values: Floats) -> float:
    """The standard error of their mean."""
    return float(values.std() / np.sqrt(len(values)))


def _present(scores: Sequence[float] | Floats) -> Floats:
    values: NDArray[np.float64] = np.asarray(scores, dtype=np.float64)
    return values[~np.isnan(values)]


def confidence(task: Task, scores: Floats, threshold: float = 0.5) -> Floats:
    """(rows,) the probability that each prediction is right, if the model is calibrated.

    >>> confidence(Task.BINARY, np.array([0.1, 0.7])).tolist()
    [0.9, 0.7]
    """
    if task is Task.BINARY:
        return np.where(scores >= threshold, scores, 1 - scores)
    return scores


def expected_losses(model: LossModel, matrix: Floats) -> Floats:
    """(rows, 2) the expected absolute and squared error of each row of encoded features and score (rows, columns): the
    idea of direct loss estimation (NannyML's DLE).

    It knows where the model was wrong on rows like the training's. It cannot see that the relation has changed, and
    beyond the training's rows it expects what it saw at their edge.
    """
    column, threshold, child = np.array(model.column), np.array(model.threshold), np.array(model.child)
    x = matrix.astype(np.float32)
    at = np.broadcast_to(np.array(model.roots), (len(x), len(model.roots)))
    place = np.arange(len(x))[:, None]
    for _ in range(model.depth):
        at = child[2 * at + (x[place, column[at]] <= threshold[at])]
    values = np.column_stack([model.absolute, model.squared])
    return np.asarray(values[at].mean(axis=1) * np.array(model.scale))


def scaled(model: LossModel, matrix: Floats, error: Floats) -> LossModel:
    """The model brought to the level of the errors (rows,) that the final model made on its test rows."""
    actual = np.array([np.abs(error).mean(), (error**2).mean()])
    foretold = expected_losses(model, matrix).mean(axis=0)
    scale = np.where(foretold > 0, actual / np.where(foretold > 0, foretold, 1.0), 1.0)
    return replace(model, scale=tuple(scale.tolist()), reference=tuple(actual.tolist()))


def foretold(model: LossModel, matrix: Floats, metric: str) -> tuple[str, float, float]:
    """The metric that can be foretold (mae for itself, rmse for every other), its reference, and what it is expected to
    be on these rows."""
    now = expected_losses(model, matrix).mean(axis=0)
    if metric == "mae":
        return "mae", model.reference[0], float(now[0])
    return "rmse", float(np.sqrt(model.reference[1])), float(np.sqrt(now[1]))


def loss_impact(model: LossModel, matrix: Floats, metric: str) -> ImpactEstimate | None:
    """The error to expect of a regression on current rows, and by what share of the test's it is greater."""
    if not len(matrix):
        return None
    name, before, after = foretold(model, matrix, metric)
    if not before:
        return ImpactEstimate(name, before, after, 0.0, relative=True)
    absolute, squared = expected_losses(model, matrix).T
    # Of a root of a mean by its derivative.
    error = _error(absolute) if name == "mae" else _error(squared) / (2 * after) if after else 0.0
    return ImpactEstimate(name, before, after, (after - before) / before, relative=True, error=error / before)
