"""Intervals around a metric that was measured on a sample of labelled rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from everfit.monitoring.columns import Floats

Measure = Callable[[NDArray[Any], Floats], float]

DRAWS = 200
LARGEST_DRAW = 20_000


class Interval(NamedTuple):
    """A value between two bounds, each of which holds with the confidence asked for."""

    value: float
    low: float
    high: float


def wilson(share: float, rows: int, z: float) -> Interval:
    """Wilson's (1927) score interval of a share, z standard errors wide to each side.

    >>> [round(bound, 3) for bound in wilson(0.9, 100, 1.96)]
    [0.9, 0.826, 0.945]
    """
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return Interval(share, float(min(centre - half, share)), float(max(centre + half, share)))


def area(value: float, positives: int, negatives: int, z: float) -> Interval:
    """The interval of an area under the ROC curve: Hanley and McNeil's (1982) standard error on the logit scale, so
    that it stays within 0..1 (Pepe 2003, section 5.2.5).

    >>> [round(bound, 3) for bound in area(0.8, 50, 150, 1.96)]
    [0.8, 0.71, 0.867]
    """
    # An area of exactly 1 (or 0) has no spread of its own: half a pair in the wrong order stands in for it.
    edge = 0.5 / (positives * negatives)
    a = float(np.clip(value, edge, 1 - edge))
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = a * (1 - a) + (positives - 1) * (q1 - a * a) + (negatives - 1) * (q2 - a * a)
    error = np.sqrt(variance / (positives * negatives))
    logit, half = scipy.special.logit(a), z * error / (a * (1 - a))
    low, high = float(scipy.special.expit(logit - half)), float(scipy.special.expit(logit + half))
    return Interval(value, min(low, value), max(high, value))


def normal(value: float, error: float, z: float) -> Interval:
    """The value, z standard errors to each side.

    >>> normal(1.0, 0.1, 2.0)
    Interval(value=1.0, low=0.8, high=1.2)
    """
    return Interval(value, value - z * error, value + z * error)


def bootstrap_error(measure: Measure, y: NDArray[Any], scores: Floats, seed: int, by_class: bool) -> float:
    """The standard error of `measure(y, scores)` over rows drawn again with replacement (Efron 1979).

    Beyond 20,000 rows each draw holds 20,000 and the error is scaled to all rows (Bickel, Götze and van Zwet 1997).
    `by_class` keeps one row of every class in each draw, so that the metric is defined in all of them.
    """
    generator = np.random.default_rng(seed)
    size = min(len(y), LARGEST_DRAW)
    kept = np.unique(y, return_index=True)[1] if by_class else np.array([], dtype=np.int64)
    found = np.empty(DRAWS)
    for draw in range(DRAWS):
        rows = generator.integers(0, len(y), size)
        rows[: len(kept)] = kept
        found[draw] = measure(y[rows], scores[rows])
    return float(np.std(found, ddof=1) * np.sqrt(size / len(y)))
