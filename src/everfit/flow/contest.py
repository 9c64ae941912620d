"""A look at several challengers: each judged on the log and the labels, one verdict acted on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from everfit.flow import ledger, verdicts
from everfit.flow import trial as evidence
from everfit.flow.trial import Trial
from everfit.ports import StateStore
from everfit.records.release import Action, ReleaseState, Verdict
from everfit.rollout import contest, strategy, tally, verdict
from everfit.rollout.tally import Observed, StepTally


def look(
    state: StateStore, trial: Trial, by: str, now: datetime, pictures: Path | None, before: ReleaseState
) -> tuple[Verdict, ReleaseState]:
    """Judges every challenger that is left, and stops one, promotes one, shares the traffic anew or waits. The log is
    read from the release's start; a verdict that is acted on is kept with its picture."""
    scale, count = evidence.scale(trial, before), len(before.variants)
    views = {one.version: contest.alone(before, one) for one in before.running}
    seen: dict[int, Observed] = {}
    counts: dict[int, tuple[StepTally, ...]] = {}
    judged = []
    for version, view in views.items():
        seen[version] = evidence.observed(trial, view, scale.losses, now)
        steps, champion = evidence.steps(view, now), view.champion or 0
        counts[version] = tally.tally(seen[version], steps, champion, version, scale.thresholds)
        judged.append(verdict.judge(view, trial.settings, counts[version], scale, now, count))
    found = contest.decided(judged)
    if found.action is Action.INCONCLUSIVE:
        found = contest.shared_anew(before, trial.settings, counts, found)
    view = views[found.version or 0]
    if found.action is Action.INCONCLUSIVE:
        return found, before
    path = verdicts.picture_of(pictures, view) if pictures is not None else None
    found = replace(found, picture=str(path)) if path else found
    after, acted = ledger.commit_on(state, before, strategy.apply(view, found), by, now)
    if acted:
        verdicts.keep(state, found)
        if path:
            verdicts.draw(path, trial, view, found, seen[found.version or 0], scale, now, count)
    return found, after
