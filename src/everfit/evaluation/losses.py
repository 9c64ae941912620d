"""What each row adds to a loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]

BINS = 10


def brier(y: Array, scores: Floats) -> Floats:
    """(rows,) squared errors of (rows, classes) probabilities, summed over classes; for a binary target of the
    positive class alone: Brier (1950).

    >>> brier(np.array([1, 0]), np.array([[0.25, 0.75], [1.0, 0.0]])).tolist()
    [0.0625, 0.0]
    """
    if scores.shape[1] == 2:
        return np.square(scores[:, 1] - y)
    rows: Floats = np.square(scores - np.eye(scores.shape[1])[y]).sum(axis=1)
    return rows


def log_loss(y: Array, scores: Floats) -> Floats:
    """(rows,) negative logarithms of the probability that was stated for what happened, of at least 2e-16."""
    own = scores[np.arange(len(y)), y]
    rows: Floats = -np.log(np.clip(own, np.finfo(np.float64).eps, 1.0))
    return rows


def miscalibration(y: Array, scores: Floats) -> Floats:
    """(rows,) stated minus observed, with the sign of the row's bin, so that the mean is the expected calibration
    error: Naeini, Cooper and Hauskrecht (2015), in ten bins of equal width.

    Binary: of the positive class; several classes: of the predicted class (Guo et al. 2017).

    >>> y, stated = np.array([0, 1, 1, 1]), np.array([0.25, 0.25, 0.95, 0.95])
    >>> float(miscalibration(y, np.column_stack((1 - stated, stated))).mean().round(3))
    0.15
    """
    binary = scores.shape[1] == 2
    stated = scores[:, 1] if binary else scores.max(axis=1)
    happened = y == (1 if binary else scores.argmax(axis=1))
    off = stated - happened
    place = bins(stated)
    sign = np.sign(np.bincount(place, off, BINS))
    rows: Floats = off * sign[place]
    return rows


def bins(stated: Floats) -> NDArray[np.int64]:
    """(rows,) the bin 0..9 of each probability."""
    return np.minimum((stated * BINS).astype(np.int64), BINS - 1)
