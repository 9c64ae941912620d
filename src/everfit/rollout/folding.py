"""What a release has shown so far, folded: counts that grow by what is new, and are those of a count from the start.

What was counted for good is never read again. Of an entity only its first error and its first score count, so the fold
remembers who has had one: a 64-bit code each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from everfit.rollout import quantiles
from everfit.rollout.betting import Floats
from everfit.rollout.tally import LOSSES, ArmTally, Firsts, Observed, Step, StepTally, tally

Codes = NDArray[np.int64]


def _nobody() -> Codes:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Arms:
    """Whose requests are counted, and the scores (t,) between two classes."""

    champion: int
    challenger: int
    thresholds: Floats


@dataclass(frozen=True, slots=True)
class Fold:
    """Every request before `until`, in seconds, by step; the entities, sorted, whose first error and whose first score
    are counted. Labels are not in it: they come late and in any order."""

    until: float
    steps: tuple[StepTally, ...] = ()
    failed: Codes = field(default_factory=_nobody)
    scored: Codes = field(default_factory=_nobody)


def grown(fold: Fold, seen: Observed, steps: Sequence[Step], arms: Arms, until: float) -> Fold:
    """The fold with further requests: all those from `fold.until` on and before `until`, in the order of their time.
    `steps` are those that began before `until`."""
    first = _firsts(fold, seen)
    return Fold(
        until,
        _added(fold, seen, steps, arms, first),
        np.union1d(fold.failed, seen.entity[first.failures]),
        np.union1d(fold.scored, seen.entity[first.scores]),
    )


def counts(fold: Fold, seen: Observed, steps: Sequence[Step], arms: Arms) -> tuple[StepTally, ...]:
    """The counts of every step so far: those of the fold, and of further requests that may not be all yet."""
    return _added(fold, seen, steps, arms, _firsts(fold, seen))


def _firsts(fold: Fold, seen: Observed) -> Firsts:
    found = Firsts.of(seen)
    return replace(
        found,
        failures=found.failures & ~_among(seen.entity, fold.failed),
        scores=found.scores & ~_among(seen.entity, fold.scored),
    )


def _among(entities: Codes, known: Codes) -> NDArray[np.bool_]:
    """Which of the entities are among those known, which are sorted."""
    if not len(known):
        return np.zeros(len(entities), dtype=np.bool_)
    places = np.minimum(np.searchsorted(known, entities), len(known) - 1)
    return np.asarray(known[places] == entities)


def _added(fold: Fold, seen: Observed, steps: Sequence[Step], arms: Arms, first: Firsts) -> tuple[StepTally, ...]:
    new = tally(seen, steps, arms.champion, arms.challenger, arms.thresholds, first)
    nothing = StepTally(0.0, _nothing(arms), _nothing(arms))
    # A step that begins after the fold's end has no counts in it; its share is the new one's.
    return tuple(
        one + replace(before, share=one.share) for before, one in zip_longest(fold.steps, new, fillvalue=nothing)
    )


def _nothing(arms: Arms) -> ArmTally:
    classes = np.zeros(quantiles.CLASSES, dtype=np.int64)
    scores = np.zeros(len(arms.thresholds) + 1, dtype=np.int64)
    losses = np.zeros((0, LOSSES), dtype=np.int64)
    return ArmTally(0, 0, 0, classes, scores, losses)
