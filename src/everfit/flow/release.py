"""A version in front of traffic: start, look, go on or go back; the ledger decides, the registry is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from everfit.errors import ReleaseError
from everfit.flow import contest, ledger, verdicts
from everfit.flow import trial as evidence
from everfit.flow.gathering import Gathering
from everfit.flow.trial import Trial
from everfit.ports import StateStore
from everfit.project.sections.release import Release
from everfit.records.release import ReleaseState, Verdict
from everfit.records.table import Value
from everfit.rollout import approval, strategy, tally, verdict
from everfit.rollout.approval import Rule

NO_APPROVAL = Rule()


def start(
    state: StateStore,
    settings: Release,
    by: str,
    version: int | None = None,
    force: bool = False,
    at: datetime | None = None,
    rule: Rule = NO_APPROVAL,
    evidence: Mapping[str, Value] | None = None,
    others: Sequence[int] = (),
) -> ReleaseState:
    """Brings a version, or the newest registered one, in front of traffic by the project's strategy. While it lacks
    approvals it is staged instead, and nothing else changes. The first event has `evidence` of what was done before.

    An A/B test of several challengers takes `others` besides the version, or the newest ones that may be released; all
    of them must have their approvals."""

    def drafts(now: ReleaseState) -> tuple[strategy.Draft, ...]:
        chosen = version if version is not None else now.latest
        if chosen is None:
            raise ReleaseError("no version is registered yet", where="release", fix="train one with `everfit run`")
        rivals = tuple(others) or strategy.newest_beside(now, chosen, settings)
        begun = strategy.start(now, chosen, settings, force=force, others=rivals)
        for rival in (chosen, *rivals) if rivals else ():
            approval.check(now, rival, rule)
        held = approval.hold(now, chosen, rule, force=force) if approval.missing(now, chosen, rule) else begun
        return strategy.resting_on(held, evidence or {})

    return ledger.commit(state, drafts, by, at)


def look(
    state: StateStore,
    trial: Trial,
    by: str,
    now: datetime | None = None,
    pictures: Path | None = None,
    gathering: Gathering | None = None,
) -> tuple[Verdict | None, ReleaseState]:
    """Judges the challenger on what both arms did since its release began, and acts on the verdict; None without one.

    With `gathering` only what is new is read, but for a verdict that is kept: that one rests on a count from the start,
    and its picture is drawn into the folder `pictures` after it was acted on."""
    now = now or datetime.now(UTC)
    before = ledger.current(state)
    if before.challenger is None or before.champion is None:
        return None, before
    if before.variants:
        return contest.look(state, trial, by, now, pictures, before)
    scale = gathering.scale(trial, before) if gathering else evidence.scale(trial, before)
    if gathering is not None:
        counts = gathering.counts(trial, before, scale, now)
        found = verdict.judge(before, trial.settings, counts, scale, now)
        if not verdicts.worth_keeping(state, trial, found):
            return found, before
    seen = evidence.observed(trial, before, scale.losses, now)
    counts = tally.tally(seen, evidence.steps(before, now), before.champion, before.challenger, scale.thresholds)
    found = verdict.judge(before, trial.settings, counts, scale, now)
    kept = verdicts.worth_keeping(state, trial, found)
    if kept and pictures is not None:
        found = replace(found, picture=str(verdicts.picture_of(pictures, before)))
    after, acted = ledger.commit_on(state, before, strategy.apply(before, found), by, now)
    if kept and acted:
        verdicts.keep(state, found)
        if found.picture:
            verdicts.draw(Path(found.picture), trial, before, found, seen, scale, now)
    return found, after


def roll_back(state: StateStore, by: str, reason: str, now: datetime | None = None) -> ReleaseState:
    """Ends the canary, or gives the traffic back to the champion before this one."""
    return ledger.commit(state, lambda seen: strategy.roll_back(seen, reason), by, now)
