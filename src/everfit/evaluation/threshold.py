"""The score from which a row counts as positive, chosen for a stated objective on out-of-fold scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from everfit.errors import StepFailed
from everfit.project.sections.training import Cost, Threshold
from everfit.records.calibration import ThresholdChoice

Floats = NDArray[np.float64]

# What is cheaper by less than this many standard errors is not cheaper: one-sided 5%.
_NOISE = 1.645
_DEFAULT = 0.5


def choose(scores: Floats, positive: NDArray[np.bool_], wanted: Threshold) -> ThresholdChoice:
    """The threshold for what is `wanted`, from (rows,) calibrated out-of-fold scores of the positive class.

    Of thresholds that serve the objective equally the greatest is taken. For costs it is
    false_positive / (false_positive + false_negative), which is best for probabilities that hold what they say (Elkan,
    2001, equation 2); the one that is cheapest on these rows is taken instead where such a choice, made on half of the
    rows, is cheaper on the other half beyond noise.
    Raises StepFailed for a precision that no threshold reaches.

    >>> scores, positive = np.array([0.1, 0.3, 0.6, 0.8]), np.array([False, True, False, True])
    >>> choose(scores, positive, Threshold(precision_at_recall=1.0)).value
    0.2
    """
    if wanted.cost is not None:
        return _cheapest(scores, positive, wanted.cost)
    if wanted.best is None and wanted.precision_at_recall is None and wanted.recall_at_precision is None:
        at = _DEFAULT if wanted.at is None else wanted.at
        return ThresholdChoice(at, "given" if wanted.at is not None else "the default")
    steps = _Steps.of(scores, positive)
    if wanted.precision_at_recall is not None:
        least = wanted.precision_at_recall
        worth = np.where(steps.recall >= least, steps.precision, -1.0)
        objective = f"greatest precision with a recall of at least {least:.1%}"
    elif wanted.recall_at_precision is not None:
        least = wanted.recall_at_precision
        worth = np.where(steps.precision >= least, steps.recall, -1.0)
        objective = f"greatest recall with a precision of at least {least:.1%}"
    else:
        worth, objective = steps.f1, "greatest f1"
    best = int(np.argmax(worth))
    if worth[best] < 0:
        raise StepFailed(
            f"no threshold has a precision of {wanted.recall_at_precision:.1%} on the training rows out of fold: the "
            f"greatest is {steps.precision.max():.1%}",
            where="training.threshold",
            fix="ask for less, or for better features",
        )
    return ThresholdChoice(float(steps.threshold[best]), objective, steps.reached(best))


def _cheapest(scores: Floats, positive: NDArray[np.bool_], cost: Cost) -> ThresholdChoice:
    theory = cost.false_positive / (cost.false_positive + cost.false_negative)
    # Each half is judged by the threshold that was cheapest on the other: on its own rows it always looks cheap.
    halves = [np.arange(len(scores)) % 2 == half for half in (0, 1)]
    seen = [_Steps.of(scores[half], positive[half]).cheapest(cost) for half in halves]
    saved = [
        _costs(scores[half], positive[half], cost, theory) - _costs(scores[half], positive[half], cost, other)
        for half, other in zip(halves, reversed(seen), strict=True)
        if half.any()
    ]
    gain = np.concatenate(saved)
    steps = _Steps.of(scores, positive)
    value = steps.cheapest(cost) if gain.mean() > _NOISE * gain.std() / np.sqrt(len(gain)) else theory
    at = int(np.searchsorted(-steps.threshold, -value, side="right")) - 1
    objective = f"least cost at {cost.false_positive:g} a false positive and {cost.false_negative:g} a false negative"
    reached = {"cost": float(_costs(scores, positive, cost, value).mean())}
    return ThresholdChoice(value, objective, reached | (dict(steps.reached(at)) if at >= 0 else {}))


def _costs(scores: Floats, positive: NDArray[np.bool_], cost: Cost, threshold: float) -> Floats:
    """Each row's cost."""
    called = scores >= threshold
    found: Floats = cost.false_positive * (called & ~positive) + cost.false_negative * (positive & ~called)
    return found


@dataclass(frozen=True, slots=True)
class _Steps:
    """What every threshold that differs in its answers comes to, from the greatest down: each array is (steps,).

    A threshold lies half way between two neighbouring scores, so that a score that moves in its last bits stays on its
    side; the least is the least score itself.
    """

    threshold: Floats
    called: NDArray[np.int64]
    hits: NDArray[np.int64]
    positives: int

    @classmethod
    def of(cls, scores: Floats, positive: NDArray[np.bool_]) -> _Steps:
        order = np.argsort(-scores, kind="stable")
        falling = scores[order]
        ends = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
        below = np.append(falling[ends[:-1] + 1], falling[-1])
        hits = np.cumsum(positive[order])[ends]
        return cls((falling[ends] + below) / 2, ends + 1, hits, int(positive.sum()))

    @property
    def precision(self) -> Floats:
        return np.asarray(self.hits / self.called, dtype=np.float64)

    @property
    def recall(self) -> Floats:
        return np.asarray(self.hits / max(self.positives, 1), dtype=np.float64)

    @property
    def f1(self) -> Floats:
        return np.asarray(2 * self.hits / (self.called + self.positives), dtype=np.float64)

    def cheapest(self, cost: Cost) -> float:
        """The threshold of the least cost."""
        wrong = cost.false_positive * (self.called - self.hits) + cost.false_negative * (self.positives - self.hits)
        return float(self.threshold[int(np.argmin(wrong))])

    def reached(self, at: int) -> Mapping[str, float]:
        """Precision, recall and f1 at a step."""
        return {name: float(getattr(self, name)[at]) for name in ("precision", "recall", "f1")}
