"""Verdicts as records, and their pictures: one of each is kept for every decision, and now and then before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from everfit import atomic
from everfit.flow import trial as evidence
from everfit.flow.trial import Trial
from everfit.ports import StateStore
from everfit.records.codec import decode, encode
from everfit.records.release import Action, Finding, ReleaseState, Verdict
from everfit.rollout import findings, picture, tally
from everfit.rollout.criteria import Scale
from everfit.rollout.tally import Firsts, Observed

STREAM = "verdicts"
_LOOKS = 40
_KEPT_A_STEP = 50


def history(state: StateStore) -> list[Verdict]:
    """Every verdict that was kept, oldest first."""
    return [decode(Verdict, text, where=f"verdict {number}") for number, text in state.read(STREAM)]


def last(state: StateStore) -> Verdict | None:
    """The newest one that was kept."""
    found = state.last(STREAM)
    return decode(Verdict, found[1], where=f"verdict {found[0]}") if found else None


def worth_keeping(state: StateStore, trial: Trial, found: Verdict) -> bool:
    """Every decision, and of the looks before it at most fifty a step."""
    before = last(state)
    if found.action is not Action.INCONCLUSIVE or before is None or before.version != found.version:
        return True
    pause = trial.settings.verdict.deadline / _KEPT_A_STEP
    return before.at is None or found.at is None or found.at - before.at >= pause


def keep(state: StateStore, found: Verdict) -> None:
    """Writes it down."""
    state.append(STREAM, encode(found))


def picture_of(folder: Path, release: ReleaseState) -> Path:
    """The file of a release's picture."""
    return folder / f"version-{release.challenger}-{release.step_times[0].astimezone(UTC):%Y%m%dT%H%M%SZ}.svg"


def draw(
    path: Path,
    trial: Trial,
    release: ReleaseState,
    found: Verdict,
    seen: Observed,
    scale: Scale,
    now: datetime,
    challengers: int = 1,
) -> None:
    """Draws what every criterion said over the release so far, in place of the release's picture before. Raises
    StorageError when it cannot be written."""
    began = release.step_times[0]
    first = Firsts.of(seen)
    levels = findings.Levels.of(trial.settings.verdict, len(release.steps), challengers)
    looks = [picture.Look(at, _findings(trial, release, seen, scale, at, first, levels)) for at in _times(began, now)]
    steps = list(zip(release.step_times, release.steps, strict=False))
    heading = f"Version {release.challenger} against version {release.champion}: {found.action.value.replace('_', ' ')}"
    atomic.write(path, picture.svg(heading, looks, steps), what="the picture of the verdict")


def _times(began: datetime, now: datetime) -> Sequence[datetime]:
    # Nothing is known when the release begins.
    return [began + (now - began) * share for share in np.linspace(0, 1, _LOOKS + 1)[1:].tolist()]


def _findings(
    trial: Trial,
    release: ReleaseState,
    seen: Observed,
    scale: Scale,
    at: datetime,
    first: Firsts,
    levels: findings.Levels,
) -> list[Finding]:
    counts = tally.tally(
        seen, evidence.steps(release, at), release.champion or 0, release.challenger or 0, scale.thresholds, first
    )
    return [
        findings.finding(criterion, margin, counts, scale, levels)
        for criterion, margin in trial.settings.verdict.margins.items()
    ]
