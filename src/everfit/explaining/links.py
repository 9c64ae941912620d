"""Contributions before a link as contributions after it."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from everfit.records.compiled import Link

Floats = NDArray[np.float64]

_POINTS = 16
_STRETCH = 4.0  # 16 points on so much of a margin leave an error below 1e-15


def linked(link: Link, margins: Floats) -> Floats:
    """Margins, (..., outputs), to scores.

    >>> linked(Link.LOGISTIC, np.zeros((1, 1))).tolist(), linked(Link.SOFTMAX, np.zeros((1, 2))).tolist()
    ([[0.5]], [[0.5, 0.5]])
    """
    if link is Link.LOGISTIC:
        # Both forms avoid an exponential that overflows.
        small = np.exp(-np.abs(margins))
        return np.asarray(np.where(margins >= 0, 1.0, small) / (1.0 + small))
    if link is Link.SOFTMAX:
        raised = np.exp(margins - margins.max(axis=-1, keepdims=True))
        found: Floats = raised / raised.sum(axis=-1, keepdims=True)
        return found
    return margins


def slopes(link: Link, base: Floats, margins: Floats, output: int) -> Floats:
    """(outputs,) how much of a move of each margin arrives at one score, on the straight way from `base` to `margins`:
    the mean slope on that way, so that the moves of the margins times it add up to the move of the score (the value of
    Aumann and Shapley, 1974).

    >>> round(float(slopes(Link.LOGISTIC, np.array([0.0]), np.array([2.0]), 0)[0]) * 2.0, 12)  # logistic(2) - 1/2
    0.380797077978
    """
    if link is Link.IDENTITY:
        return np.asarray(np.eye(len(base))[output])
    steps = max(1, ceil(float(np.abs(margins - base).max()) / _STRETCH))
    points, weights = np.polynomial.legendre.leggauss(_POINTS)
    at = ((np.arange(steps)[:, None] + (points + 1) / 2) / steps).reshape(-1, 1)
    scores = linked(link, base + at * (margins - base))
    own = scores[:, [output]]
    slope = own * (1 - own) if link is Link.LOGISTIC else own * (np.eye(len(base))[output] - scores)
    found: Floats = np.tile(weights / (2 * steps), steps) @ slope
    return found
