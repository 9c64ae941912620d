"""Traffic of two versions, drawn, as the verdict sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta

from everfit.records.release import Criterion
from everfit.rollout.criteria import Loss, Scale
from everfit.rollout.tally import Observed, Step, StepTally, tally

THRESHOLDS = np.linspace(0.05, 0.7, 14)
SCALE = Scale(THRESHOLDS, beta.cdf(THRESHOLDS, 2, 5), (Loss(Criterion.LOG_LOSS, 4.6, 0.46),), 0.001)


@dataclass(frozen=True)
class World:
    """What is true of the challenger beside a champion with 1% errors."""

    errors: float = 0.01
    slower: float = 1.0
    shift: float = 0.0
    loss: float = 0.0


def traffic(world: World, requests: int, share: float, seed: int = 1, labelled: bool = True) -> Observed:
    """An hour of requests by as many customers."""
    random = np.random.default_rng(seed)
    challenger = random.random(requests) < share
    losses = np.clip(random.gamma(1, 0.1, requests) + world.loss / 4.6 * challenger, 0, 1)
    return Observed(
        time=np.sort(random.random(requests)) * 3600,
        version=np.where(challenger, 2, 1),
        entity=np.arange(requests),
        failed=random.random(requests) < np.where(challenger, world.errors, 0.01),
        latency=np.exp(random.normal(-4, 0.5, requests)) * np.where(challenger, world.slower, 1),
        score=np.clip(random.beta(2, 5, requests) + world.shift * challenger, 0, 1),
        losses=(losses if labelled else np.full(requests, np.nan),),
    )


def counted(seen: Observed, *shares: float) -> tuple[StepTally, ...]:
    """The counts of steps of equal length."""
    ends = np.linspace(0, 3600, len(shares) + 1).tolist()
    steps = [Step(a, b, share) for a, b, share in zip(ends, ends[1:], shares, strict=False)]
    return tally(seen, steps, 1, 2, THRESHOLDS)


def joined(*parts: Observed) -> Observed:
    """One hour after the other, squeezed into one."""
    lengths = [0, *np.cumsum([len(part.time) for part in parts]).tolist()]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("version", "failed", "latency", "score")
    }
    time = np.concatenate([(number * 3600 + part.time) / len(parts) for number, part in enumerate(parts)])
    entity = np.concatenate([part.entity + start for part, start in zip(parts, lengths, strict=False)])
    losses = (np.concatenate([part.losses[0] for part in parts]),)
    return Observed(time=time, entity=entity, losses=losses, **columns)
