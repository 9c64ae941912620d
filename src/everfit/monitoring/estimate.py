"""What drift probably costs, while labels are not there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from everfit.monitoring.columns import Floats
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
    changed, nor a model that is sure and wrong on rows unlike its training's: only labels show those. Regression has
    no probabilities and so no estimate: None, as also when one side has no scores.

    >>> impact(Task.BINARY, [0.1, 0.9], [0.4, 0.6]).drop
    0.3
    """
    then, now = _present(reference), _present(current)
    if task is Task.REGRESSION or not len(then) or not len(now):
        return None
    before, after = (float(confidence(task, side, threshold).mean()) for side in (then, now))
    return ImpactEstimate("accuracy", before, after, round(before - after, 12))


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
