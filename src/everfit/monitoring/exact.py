"""The exact Kolmogorov-Smirnov distance of two sorted samples, at a small part of the price of merging them.

Branch and bound: both distribution functions rise, so that between two values of the reference their difference cannot
exceed what their ends allow. Cells whose bound is below the best difference found so far are never looked into.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from everfit.monitoring.columns import Floats
from everfit.monitoring.profile import grid

CELLS = 2_048
PARTS = 32
FEW = 8_192


def ks_distance(reference: Floats, current: Floats) -> float:
    """The greatest difference of the empirical distribution functions of two sorted samples without NaN, 0..1.

    >>> ks_distance(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0]))
    0.5
    """
    ranks = grid(len(reference), min(len(reference), CELLS))
    at = _At(reference, current, ranks)
    best = at.best
    low, high = _open(at, ranks[:-1], ranks[1:], best, slice(None, -1), slice(1, None))
    while len(low):
        inside = int((high - low - 1).sum())
        if inside <= FEW:
            return max(best, _At(reference, current, _all(low, high)).best)
        ranks, first = _split(low, high)
        at = _At(reference, current, ranks)
        best = max(best, at.best)
        ends = np.flatnonzero(~first)
        low, high = _open(at, ranks[ends - 1], ranks[ends], best, ends - 1, ends)
    return best


class _At:
    """Both distribution functions at the reference values of some ranks: at or below, and below, each of them."""

    def __init__(self, reference: Floats, current: Floats, ranks: NDArray[np.int64]) -> None:
        values = reference[ranks]
        self.ref_to = np.searchsorted(reference, values, side="right") / len(reference)
        self.ref_below = np.searchsorted(reference, values, side="left") / len(reference)
        self.now_to = np.searchsorted(current, values, side="right") / len(current)
        self.now_below = np.searchsorted(current, values, side="left") / len(current)

    @property
    def best(self) -> float:
        """The greatest difference here; left and right of a jump are the only places where it can lie."""
        right, left = np.abs(self.ref_to - self.now_to), np.abs(self.ref_below - self.now_below)
        return max(float(right.max(initial=0.0)), float(left.max(initial=0.0)))


def _open(
    at: _At,
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    best: float,
    lower: slice | NDArray[np.int64],
    upper: slice | NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cells between two ranks that may hold a greater difference than `best`, and have ranks within."""
    bound = np.maximum(at.ref_below[upper] - at.now_to[lower], at.now_below[upper] - at.ref_to[lower])
    kept = (bound > best) & (high - low > 1)
    return low[kept], high[kept]


def _all(low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every rank strictly between the ends of each cell.

    >>> _all(np.array([0, 7]), np.array([3, 9])).tolist()
    [1, 2, 8]
    """
    many = high - low - 1
    before = np.cumsum(many) - many
    return np.repeat(low + 1 - before, many) + np.arange(many.sum(), dtype=np.int64)


def _split(low: NDArray[np.int64], high: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The ranks that divide each cell, its ends included, one cell after the other; and which of them begin one."""
    steps = np.arange(PARTS + 1, dtype=np.int64)
    ranks = low[:, None] + (high - low)[:, None] * steps // PARTS
    new = np.ones(ranks.shape, dtype=bool)
    new[:, 1:] = ranks[:, 1:] > ranks[:, :-1]
    first = np.zeros(ranks.shape, dtype=bool)
    first[:, 0] = True
    return ranks[new], first[new]
