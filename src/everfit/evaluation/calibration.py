"""A model's scores turned into probabilities that hold what they say, by the record in its manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from everfit.records.calibration import Calibration, Isotonic, Method, Platt

Floats = NDArray[np.float64]
Apply = Callable[[Floats], Floats]

# Logits are taken of probabilities no nearer to 0 and 1 than this.
_EDGE = 1e-12


class Scores(Protocol):
    """What can be calibrated."""

    def score(self, matrix: Any) -> Any:
        """(rows, columns) -> (rows, classes) probabilities, or (rows,) values."""
        ...


@dataclass(frozen=True, slots=True)
class CalibratedScorer:
    """A scorer whose probabilities are calibrated."""

    inner: Scores
    apply: Apply

    def score(self, matrix: Any) -> Any:
        """(rows, columns) -> (rows, classes) probabilities."""
        return self.apply(self.inner.score(matrix))


def calibrated(scorer: Scores, calibration: Calibration | None) -> Scores:
    """The scorer with the calibration after it; the scorer itself where there is none."""
    if calibration is None or calibration.method is Method.NONE:
        return scorer
    return CalibratedScorer(scorer, calibrator(calibration))


def calibrator(calibration: Calibration | None) -> Apply:
    """The calibration as a function of scores, with its numbers made ready once.

    It takes (rows, classes) probabilities and returns the same shape, each row between 0 and 1 with the sum 1; without
    a calibration it returns what it was given, so also (rows,) values of a regression. For a binary target the order of
    the rows by score stays as it was; for several classes each class is calibrated against the rest and the row is then
    divided by its sum (Zadrozny and Elkan, 2002, section 4), which may reorder rows.

    >>> halve = calibrator(Calibration(Method.ISOTONIC, (Isotonic((0.0, 1.0), (0.0, 0.5)),)))
    >>> halve(np.array([[0.2, 0.8]])).tolist()
    [[0.6, 0.4]]
    """
    if calibration is None or calibration.method is Method.NONE:
        return _unchanged
    curves = [_curve(each) for each in calibration.curves]
    if len(curves) == 1:
        return _Binary(curves[0])
    return _OneVersusRest(tuple(curves))


def curve(record: Isotonic | Platt, scores: Floats) -> Floats:
    """(rows,) scores of one class to its calibrated probabilities.

    >>> curve(Platt(2.0, 0.0), np.array([0.5, 0.75])).round(3).tolist()
    [0.5, 0.9]
    """
    return _curve(record)(scores)


def logit(scores: Floats) -> Floats:
    """log(p / (1 - p)), finite also at 0 and 1."""
    p = np.clip(scores, _EDGE, 1 - _EDGE)
    found: Floats = np.log(p) - np.log1p(-p)
    return found


def expit(at: Floats) -> Floats:
    """The logistic function, 1 / (1 + exp(-at))."""
    found: Floats = 1 / (1 + np.exp(-np.clip(at, -700, 700)))
    return found


@dataclass(frozen=True, slots=True)
class _Line:
    slope: float
    intercept: float

    def __call__(self, scores: Floats) -> Floats:
        return expit(self.slope * logit(scores) + self.intercept)


@dataclass(frozen=True, slots=True)
class _Knots:
    x: Floats
    y: Floats

    def __call__(self, scores: Floats) -> Floats:
        return np.interp(scores, self.x, self.y)


@dataclass(frozen=True, slots=True)
class _Binary:
    positive: Apply

    def __call__(self, scores: Floats) -> Floats:
        found = self.positive(scores[:, 1])
        return np.column_stack((1 - found, found))


@dataclass(frozen=True, slots=True)
class _OneVersusRest:
    classes: tuple[Apply, ...]

    def __call__(self, scores: Floats) -> Floats:
        found = np.column_stack([each(scores[:, index]) for index, each in enumerate(self.classes)])
        shares: Floats = found / found.sum(axis=1, keepdims=True)
        return shares


def _curve(record: Isotonic | Platt) -> Apply:
    if isinstance(record, Platt):
        return _Line(record.slope, record.intercept)
    return _Knots(np.array(record.x), np.array(record.y))


def _unchanged(scores: Floats) -> Floats:
    return scores
