"""What the arms of a release did, as counts: all that the verdict reads, and any two of them add up.

A look after a restart counts the logged records again, or adds what came since to what it had: the sum is the same.

Where repeated outcomes would be one fact counted often, they count once: of a batch that failed, one error; of one
entity, its first error, its first score and its first label in the release. The entity is what chance assigned to an
arm, so that one customer who always fails says no more than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.rollout import distributions, quantiles
from everfit.rollout.betting import Floats

LOSSES = 400


@dataclass(frozen=True, slots=True)
class Observed:
    """Logged requests in the order of their time, one value each (n,): when in seconds, which version, an entity's
    code (its own where there is none), whether it failed, seconds, score, and each label-based loss as a share of its
    greatest (NaN where there is no score or no label is due)."""

    time: Floats
    version: NDArray[np.int64]
    entity: NDArray[np.int64]
    failed: NDArray[np.bool_]
    latency: Floats
    score: Floats
    losses: Sequence[Floats] = ()

    def split(self, time: float) -> tuple[Observed, Observed]:
        """Those before the time, and the others."""
        place = int(np.searchsorted(self.time, time))
        return self._part(slice(0, place)), self._part(slice(place, None))

    def _part(self, rows: slice) -> Observed:
        return Observed(
            self.time[rows],
            self.version[rows],
            self.entity[rows],
            self.failed[rows],
            self.latency[rows],
            self.score[rows],
            [loss[rows] for loss in self.losses],
        )


@dataclass(frozen=True, slots=True)
class ArmTally:
    """One arm in one step. `errors` is every failed request, `failures` what counts as evidence of them; `latencies`,
    `scores` and each of `losses` are counts by class."""

    requests: int
    errors: int
    failures: int
    latencies: NDArray[np.int64]
    scores: NDArray[np.int64]
    losses: NDArray[np.int64]

    def __add__(self, other: ArmTally) -> ArmTally:
        return ArmTally(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(ArmTally)))


@dataclass(frozen=True, slots=True)
class StepTally:
    """Both arms in one step; `share` is the challenger's part of what the two of them were given, 0..1."""

    share: float
    champion: ArmTally
    challenger: ArmTally

    def __add__(self, other: StepTally) -> StepTally:
        return StepTally(self.share, self.champion + other.champion, self.challenger + other.challenger)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a release: the challenger's share from a time in seconds until another."""

    since: float
    until: float
    share: float


def tally(
    seen: Observed,
    steps: Sequence[Step],
    champion: int,
    challenger: int,
    thresholds: Floats,
    first: Firsts | None = None,
) -> tuple[StepTally, ...]:
    """The counts of every step so far. What other versions did is left out. `first` may be given where the same
    requests are counted more than once."""
    first = first or Firsts.of(seen)

    def arm(step: Step, version: int) -> ArmTally:
        rows = slice(*np.searchsorted(seen.time, (step.since, step.until)))
        return _arm(seen, first, rows, version, thresholds)

    return tuple(StepTally(step.share, arm(step, champion), arm(step, challenger)) for step in steps)


def _arm(seen: Observed, first: Firsts, rows: slice, version: int, thresholds: Floats) -> ArmTally:
    here = seen.version[rows] == version
    pairs = zip(seen.losses, first.losses, strict=True)
    losses = [loss_classes(loss[rows][here & once[rows]]) for loss, once in pairs]
    return ArmTally(
        requests=int(here.sum()),
        errors=int((here & seen.failed[rows]).sum()),
        failures=int((here & first.failures[rows]).sum()),
        latencies=quantiles.classes(seen.latency[rows][here & first.latencies[rows]]),
        scores=distributions.classes(seen.score[rows][here & first.scores[rows]], thresholds),
        losses=np.array(losses, dtype=np.int64).reshape(len(losses), LOSSES),
    )


@dataclass(frozen=True, slots=True)
class Firsts:
    """Which requests (n,) count: the first of each kind."""

    failures: NDArray[np.bool_]
    latencies: NDArray[np.bool_]
    scores: NDArray[np.bool_]
    losses: Sequence[NDArray[np.bool_]]

    @classmethod
    def of(cls, seen: Observed) -> Firsts:
        """Finds them. The rows of a batch stand together, with one time and one latency on each arm."""
        batch = _changed(seen.time, seen.version, seen.latency)
        failed = np.flatnonzero(seen.failed)
        failures = np.zeros(len(batch), dtype=np.bool_)
        failures[failed[_changed(seen.time[failed], seen.version[failed])]] = True
        return cls(
            failures=_first(failures, seen.entity),
            latencies=batch & ~seen.failed,
            scores=_first(~np.isnan(seen.score), seen.entity),
            losses=[_first(~np.isnan(loss), seen.entity) for loss in seen.losses],
        )


def _changed(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a row differs from the one before in any column; the first one does."""
    found = np.ones(len(columns[0]), dtype=np.bool_)
    found[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return found


def _first(among: NDArray[np.bool_], entity: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of the requests `among`, the first of each entity."""
    places = np.flatnonzero(among)
    found = np.zeros(len(among), dtype=np.bool_)
    found[places[np.unique(entity[places], return_index=True)[1]]] = True
    return found


def loss_classes(losses: Floats) -> NDArray[np.int64]:
    """How many of the losses (n,), as shares of the greatest, are nearest to each of 400 even steps (400,)."""
    return np.bincount((np.clip(losses, 0, 1) * (LOSSES - 1)).round().astype(np.int64), minlength=LOSSES)
