"""Two distributions of scores: how far the greatest difference of their cumulative shares may be.

For each of some thresholds x, bets on the difference of the arms' shares of scores of at most x, upwards and
downwards: a sequential Kolmogorov-Smirnov test by betting (Shekhar and Ramdas, "Nonparametric two-sample testing by
betting", IEEE Trans. Inf. Theory 70 (2024)), with a tolerance. The wealth is shared among all thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from everfit.rollout.betting import Contrasts, Floats, contrasts, log_sum, log_wealth, mixed, spread

Counts = NDArray[np.int64]
_OUTCOMES = np.array([1.0, 0.0])


def classes(scores: Floats, thresholds: Floats) -> Counts:
    """How many of the scores (n,) lie at or below each threshold (t,) and above the one before: (t + 1,).

    >>> classes(np.array([0.1, 0.5, 0.7]), np.array([0.5])).tolist()
    [2, 1]
    """
    places = np.searchsorted(thresholds, scores, side="left")
    return np.bincount(places, minlength=len(thresholds) + 1)


def distance(champion: Counts, challenger: Counts) -> float:
    """The greatest difference of the cumulative shares at the thresholds, 0..1; both arms must have scores."""
    return float(np.abs(champion.cumsum() / champion.sum() - challenger.cumsum() / challenger.sum()).max())


def apart(steps: Sequence[tuple[float, Counts, Counts]], centres: Floats, tolerance: float) -> float:
    """The log evidence against "no cumulative share differs by more than `tolerance`".

    Each step has the challenger's share of traffic and both arms' counts (t + 1,); `centres` (t,) are the cumulative
    shares expected beforehand."""
    found = [_against(steps, place, centre, tolerance) for place, centre in enumerate(centres)]
    return log_sum(np.array(found)) - float(np.log(2 * len(found)))


def alike(steps: Sequence[tuple[float, Counts, Counts]], centres: Floats, tolerance: float) -> float:
    """The log evidence against "some cumulative share differs by more than `tolerance`": that of the threshold where
    it is least."""
    found = [_against(steps, place, centre, -tolerance) for place, centre in enumerate(centres)]
    return float(np.array(found).min())


def _against(
    steps: Sequence[tuple[float, Counts, Counts]], place: int, centre: float, margin: float
) -> tuple[float, float]:
    """Against "the difference at this threshold is at most `margin`", upwards and downwards."""
    bets = spread()
    seen = [_contrasts(step, place, centre) for step in steps]
    up = mixed([log_wealth(one, margin, bets) for one in seen], bets)
    return up, mixed([log_wealth(one.negated, margin, bets) for one in seen], bets)


def _contrasts(step: tuple[float, Counts, Counts], place: int, centre: float) -> Contrasts:
    share, *arms = step
    champion, challenger = (np.array([arm[: place + 1].sum(), arm[place + 1 :].sum()]) for arm in arms)
    return contrasts(_OUTCOMES, champion, challenger, share, centre)
