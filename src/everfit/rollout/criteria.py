"""The criteria of a verdict: for each one the excess of the challenger, and the evidence about it in either direction.

Evidence is a log wealth from bets (see `betting`): it passes log(1 / alpha) ever, though what it speaks against is
true, with probability at most alpha. Evidence of steps that followed one another multiplies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from everfit.records.release import Criterion
from everfit.rollout import betting, distributions, quantiles
from everfit.rollout.betting import Contrasts, Floats
from everfit.rollout.tally import LOSSES, ArmTally, StepTally

Steps = Sequence[StepTally]

_LEVEL = 0.99
_YES_NO = np.array([0.0, 1.0])
_OUTCOMES = np.arange(LOSSES) / (LOSSES - 1)


class Judged(Protocol):
    """One criterion; `span` holds every excess that there can be."""

    @property
    def span(self) -> tuple[float, float]:
        """The least and the greatest excess."""
        ...

    def observed(self, arm: ArmTally) -> int:
        """How many observations an arm gave."""
        ...

    def estimate(self, steps: Steps) -> float:
        """The excess seen, where each arm gave at least one observation."""
        ...

    def worse(self, steps: Steps, excess: float) -> float:
        """The log evidence against "at most so much"."""
        ...

    def fine(self, steps: Steps, excess: float) -> float:
        """The log evidence against "at least so much"."""
        ...


@dataclass(frozen=True, slots=True)
class Loss:
    """What the scale of a label-based loss is, in its own unit: the greatest that counts, and the one expected."""

    criterion: Criterion
    greatest: float
    expected: float


@dataclass(frozen=True, slots=True)
class Scale:
    """What the counts mean. `thresholds` (t,) are the scores between classes and `centres` (t,) their expected
    cumulative shares; `losses` are those that were counted, in that order. `tail` is the champion's 99% quantile of
    latency before the release, if it is known, and `floor` the latency that is never too long, both in seconds."""

    thresholds: Floats
    centres: Floats
    losses: Sequence[Loss] = ()
    floor: float = 0.0
    tail: float | None = None


def judged(criterion: Criterion, scale: Scale) -> Judged:
    """The criterion on that scale."""
    if criterion is Criterion.ERRORS:
        return Errors()
    if criterion is Criterion.LATENCY:
        return Latency(scale.floor, scale.tail)
    if criterion is Criterion.SCORES:
        return Scores(scale.centres)
    place = next(place for place, loss in enumerate(scale.losses) if loss.criterion is criterion)
    return Losses(place, scale.losses[place])


@dataclass(frozen=True, slots=True)
class Errors:
    """The share of failed requests."""

    span: tuple[float, float] = (-1.0, 1.0)

    def observed(self, arm: ArmTally) -> int:
        """Requests."""
        return arm.requests

    def estimate(self, steps: Steps) -> float:
        """The difference of the arms' error rates."""
        return _difference([_rates(step.champion, step.challenger) for step in steps])

    def worse(self, steps: Steps, excess: float) -> float:
        """Against "the error rate is at most so much higher"."""
        bets = [betting.on_rates(step.share) for step in steps]
        seen = [self._seen(step, step.champion.failures, step.challenger.failures) for step in steps]
        wealth = [betting.log_wealth(one, excess, bet) for one, bet in zip(seen, bets, strict=True)]
        return betting.mixed(wealth, bets[0])

    def fine(self, steps: Steps, excess: float) -> float:
        """Against "the error rate is at least so much higher"."""
        # Every error counts here, that of a batch for each of its rows.
        return _below([self._seen(step, step.champion.errors, step.challenger.errors) for step in steps], excess)

    def _seen(self, step: StepTally, champion: int, challenger: int) -> Contrasts:
        arms = ((step.champion, champion), (step.challenger, challenger))
        counts = [np.array([arm.requests - bad, bad]) for arm, bad in arms]
        return betting.contrasts(_YES_NO, counts[0], counts[1], step.share)


@dataclass(frozen=True, slots=True)
class Latency:
    """The 99% quantile of latency, as a share of the champion's above it; below `floor` seconds it is never too long.

    "At most r times as long" is held to mean of the whole tail: the challenger takes r x or longer at most as often as
    the champion takes x. Half of the wealth bets on that at x = `tail`, which needs few requests and does not mind
    that slow requests come together; the other half on the quantiles, wherever they are now."""

    floor: float
    tail: float | None = None
    span: tuple[float, float] = (-0.99, 99.0)

    def observed(self, arm: ArmTally) -> int:
        """Requests that were answered; a batch is one."""
        return int(arm.latencies.sum())

    def estimate(self, steps: Steps) -> float:
        """The share by which the challenger's quantile is above the champion's."""
        champion, challenger = (
            quantiles.quantile(np.sum([getattr(step, arm).latencies for step in steps], axis=0), _LEVEL)
            for arm in ("champion", "challenger")
        )
        return challenger / champion - 1

    def worse(self, steps: Steps, excess: float) -> float:
        """Against "the tail is at most so much longer"."""
        quantile = sum(quantiles.slower(*self._seen(step), 1 + excess, _LEVEL, self.floor) for step in steps)
        bets = [betting.on_rates(step.share) for step in steps]
        wealth = [
            betting.log_wealth(self._passed(step, excess, up=True), 0.0, bet)
            for step, bet in zip(steps, bets, strict=True)
        ]
        return self._both(quantile, betting.mixed(wealth, bets[0]))

    def fine(self, steps: Steps, excess: float) -> float:
        """Against "the tail is at least so much longer"."""
        quantile = sum(quantiles.not_slower(*self._seen(step), 1 + excess, _LEVEL, self.floor) for step in steps)
        return self._both(quantile, _below([self._passed(step, excess, up=False) for step in steps], 0.0))

    def _both(self, quantile: float, tail: float) -> float:
        return quantile if self.tail is None else float(np.logaddexp(quantile, tail) - np.log(2))

    def _seen(self, step: StepTally) -> tuple[quantiles.Counts, quantiles.Counts]:
        return step.champion.latencies, step.challenger.latencies

    def _passed(self, step: StepTally, excess: float, up: bool) -> Contrasts:
        """Contrasts of "took as long as the tail", for the challenger as long as is allowed."""
        champion, challenger = self._seen(step)
        tail = self.tail or 0.0
        long = (
            quantiles.above(champion, tail),
            quantiles.above(challenger, tail, 1 + excess, self.floor, up),
        )
        counts = [np.array([arm.sum() - some, some]) for arm, some in zip((champion, challenger), long, strict=True)]
        return betting.contrasts(_YES_NO, counts[0], counts[1], step.share)


@dataclass(frozen=True, slots=True)
class Scores:
    """The greatest difference of the cumulative shares of scores."""

    centres: Floats
    span: tuple[float, float] = (0.0, 1.0)

    def observed(self, arm: ArmTally) -> int:
        """Entities that have a score."""
        return int(arm.scores.sum())

    def estimate(self, steps: Steps) -> float:
        """The distance of the two distributions."""
        champion, challenger = (
            np.sum([getattr(step, arm).scores for step in steps], axis=0) for arm in ("champion", "challenger")
        )
        return distributions.distance(champion, challenger)

    def worse(self, steps: Steps, excess: float) -> float:
        """Against "no share differs by more"."""
        return distributions.apart(self._seen(steps), self.centres, excess)

    def fine(self, steps: Steps, excess: float) -> float:
        """Against "some share differs by more"."""
        return distributions.alike(self._seen(steps), self.centres, excess)

    def _seen(self, steps: Steps) -> list[tuple[float, distributions.Counts, distributions.Counts]]:
        return [(step.share, step.champion.scores, step.challenger.scores) for step in steps]


@dataclass(frozen=True, slots=True)
class Losses:
    """The mean of a label-based loss, the `place`-th of those counted."""

    place: int
    loss: Loss

    @property
    def span(self) -> tuple[float, float]:
        """Nothing differs by more than the greatest loss that counts."""
        return -self.loss.greatest, self.loss.greatest

    def observed(self, arm: ArmTally) -> int:
        """Entities that have a matured label."""
        return int(arm.losses[self.place].sum())

    def estimate(self, steps: Steps) -> float:
        """The difference of the mean losses."""
        means = []
        for step in steps:
            arms = [arm.losses[self.place] for arm in (step.champion, step.challenger)]
            means.append([(int(arm.sum()), float(arm @ _OUTCOMES) / max(1, int(arm.sum()))) for arm in arms])
        return self.loss.greatest * _difference(means)

    def worse(self, steps: Steps, excess: float) -> float:
        """Against "the mean loss is at most so much higher"."""
        bets = betting.spread()
        wealth = [betting.log_wealth(one, excess / self.loss.greatest, bets) for one in self._seen(steps)]
        return betting.mixed(wealth, bets)

    def fine(self, steps: Steps, excess: float) -> float:
        """Against "the mean loss is at least so much higher"."""
        return _below(self._seen(steps), excess / self.loss.greatest)

    def _seen(self, steps: Steps) -> list[Contrasts]:
        centre = self.loss.expected / self.loss.greatest
        return [
            betting.contrasts(
                _OUTCOMES, step.champion.losses[self.place], step.challenger.losses[self.place], step.share, centre
            )
            for step in steps
        ]


def _below(seen: Sequence[Contrasts], excess: float) -> float:
    """The log evidence against "the mean contrast is at least `excess`"."""
    bets = betting.spread()
    return betting.mixed([betting.log_wealth(one.negated, -excess, bets) for one in seen], bets)


def _rates(*arms: ArmTally) -> list[tuple[int, float]]:
    return [(arm.requests, arm.errors / max(1, arm.requests)) for arm in arms]


def _difference(steps: Sequence[Sequence[tuple[int, float]]]) -> float:
    """The challenger's mean less the champion's, each step weighted by what it can tell (Mantel and Haenszel 1959),
    so that a bad hour of both, in which one had more of the traffic, does not count for the other."""
    weights = [first * second / max(1, first + second) for (first, _), (second, _) in steps]
    apart = [second - first for (_, first), (_, second) in steps]
    return float(np.dot(weights, apart) / max(sum(weights), 1e-12))
