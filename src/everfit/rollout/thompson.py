"""Thompson sampling: a share of traffic that is the chance of being the better arm, by the labels so far.

Each arm's mean reward, one minus its label-based loss as a share of the greatest, has a Beta posterior in which a
reward r counts as r successes and 1 - r failures (Agrawal and Goyal, "Analysis of Thompson sampling for the
multi-armed bandit problem", COLT 2012, section 1.2, with the mean in place of its coin). Rewards come when labels
mature, so the posterior is of what is known; who is unknown keeps a share by its width. Instead of drawing the
posterior for every request, the arm's chance of being the better one is its share, which sticky routing can keep.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from everfit.rollout.tally import LOSSES, ArmTally, StepTally

LEAST_CHANGE = 0.01
_REWARDS = 1 - np.arange(LOSSES) / (LOSSES - 1)


def share(steps: Sequence[StepTally], floor: float, explore: float) -> tuple[float, float]:
    """The chance that the challenger's rewards are the better ones, and its share of traffic: that chance, but at
    least `explore` and at most what leaves the champion its `floor`.

    >>> share([], 0.2, 0.05)
    (0.5, 0.5)
    """
    champion, challenger = (posterior([getattr(step, arm) for step in steps]) for arm in ("champion", "challenger"))
    apart = (challenger[0] - champion[0]) / np.sqrt(challenger[1] + champion[1])
    chance = float(ndtr(apart))
    return chance, float(np.clip(chance, explore, 1 - floor))


def shares(
    champion: Sequence[ArmTally], challengers: Sequence[Sequence[ArmTally]], floor: float, explore: float
) -> tuple[list[float], list[float]]:
    """The chance of each of several challengers that its rewards are the best of all arms, and its share of traffic:
    that chance, but at least `explore`, and together at most what leaves the champion its `floor`.

    >>> shares([], [[]], 0.2, 0.05) == ([0.5], [0.5])
    True
    """
    chances = best([posterior(champion), *map(posterior, challengers)])[1:]
    extra = np.maximum(0.0, chances - explore)
    room = 1 - floor - explore * len(challengers)
    given = explore + extra * min(1.0, room / max(float(extra.sum()), 1e-12))
    return np.round(chances, 9).tolist(), np.round(given, 9).tolist()


def best(posteriors: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """The chance (k,) of each of k arms to have the greatest mean, where these are normal with such means and
    variances; by the trapezoid rule on places that are dense where any of them is.

    >>> best([(0.5, 0.01), (0.5, 0.01), (0.5, 0.01), (0.5, 0.01)]).round(6).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    means, spreads = np.array([mean for mean, _ in posteriors]), np.sqrt([variance for _, variance in posteriors])
    places = np.unique(np.concatenate([means + step * spreads for step in np.linspace(-8, 8, 801)]))
    z = (places[None, :] - means[:, None]) / spreads[:, None]
    below, density = ndtr(z), np.exp(-(z**2) / 2) / spreads[:, None]
    others = np.array([np.prod(np.delete(below, arm, axis=0), axis=0) for arm in range(len(means))])
    found = np.trapezoid(density * others, places, axis=1)
    return np.asarray(found / found.sum())


def posterior(arms: Sequence[ArmTally]) -> tuple[float, float]:
    """Mean and variance of an arm's reward after what it did in some steps, from a flat prior."""
    counts = np.sum([arm.losses[0] for arm in arms], axis=0) if arms else np.zeros(LOSSES)
    won = 1 + float(counts @ _REWARDS)
    lost = 1 + float(counts.sum() - counts @ _REWARDS)
    both = won + lost
    return won / both, won * lost / (both * both * (both + 1))
