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


def posterior(arms: Sequence[ArmTally]) -> tuple[float, float]:
    """Mean and variance of an arm's reward after what it did in some steps, from a flat prior."""
    counts = np.sum([arm.losses[0] for arm in arms], axis=0) if arms else np.zeros(LOSSES)
    won = 1 + float(counts @ _REWARDS)
    lost = 1 + float(counts.sum() - counts @ _REWARDS)
    both = won + lost
    return won / both, won * lost / (both * both * (both + 1))
