"""Several challengers at once: each is judged against the champion's arm alone, and the best of them wins.

The chance of a wrong statement is shared: each of k challengers is judged with a k-th of it, so that the chance that
any challenger that is no worse is stopped, or one that is worse promoted, is at most that of the whole test.

A challenger that is stopped leaves its entities where they are: its arm is answered by the champion's version from then
on, and counts for nobody. So no other arm's share or entities change, and what was seen stays comparable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from everfit.project.sections.release import Release
from everfit.records.release import LABELLED, Action, ReleaseState, Strategy, Variant, Verdict
from everfit.records.table import Value
from everfit.rollout import thompson
from everfit.rollout.tally import StepTally


def alone(state: ReleaseState, variant: Variant) -> ReleaseState:
    """The release as this challenger and the champion's arm see it: its share is that of the two of them together."""
    steps = (*variant.earlier, variant.beside(state.control))
    return replace(state, challenger=variant.version, steps=steps, names=(state.names[0], variant.name), variants=())


def decided(judged: Sequence[Verdict]) -> Verdict:
    """The verdict to act on: a challenger that is to go, goes at once; a promotion waits until every challenger that is
    left has earned one, and is that of the best."""
    for one in judged:
        if one.action is Action.ROLL_BACK:
            return one
    for one in judged:
        if one.action is not Action.PROMOTE:
            return replace(one, action=Action.INCONCLUSIVE)  # shares are set for all together, not for a pair
    return min(judged, key=_excess)


def shared_anew(
    state: ReleaseState, release: Release, seen: Mapping[int, Sequence[StepTally]], wait: Verdict
) -> Verdict:
    """What becomes of a verdict that waits: in Thompson sampling, other shares of traffic when it is time for them.
    `seen` is what each challenger that is left did, by version. One that was stopped gets nothing any more."""
    settings, now = release.thompson, wait.at
    if state.strategy is not Strategy.THOMPSON or not _is_due(state, release, now):
        return wait
    tallies = list(seen.values())
    champion = [step.champion for step in tallies[0]]
    challengers = [[step.challenger for step in steps] for steps in tallies]
    chances, shares = thompson.shares(champion, challengers, settings.floor, settings.explore)
    by_version = dict(zip(seen, shares, strict=True))
    after = [0.0 if one.stopped else by_version[one.version] for one in state.variants]
    if max(abs(new - one.share) for new, one in zip(after, state.variants, strict=True)) < thompson.LEAST_CHANGE:
        return wait
    figures: dict[str, Value] = {
        "next_shares": ",".join(map(repr, after)),
        **{f"chance_best_{version}": chance for version, chance in zip(seen, chances, strict=True)},
    }
    told = ", ".join(f"version {version} {100 * share:.4g}%" for version, share in by_version.items())
    return replace(wait, action=Action.ADVANCE, reason=f"by the chance to be the best: {told}", evidence=figures)


def _is_due(state: ReleaseState, release: Release, now: datetime | None) -> bool:
    return now is not None and state.step_since is not None and now - state.step_since >= release.thompson.every


def _excess(verdict: Verdict) -> float:
    """By how much a challenger is above the champion: in its labels where they are judged, else in what comes first."""
    labelled = [found for found in verdict.findings if found.criterion in LABELLED]
    found = (labelled or list(verdict.findings))[0]
    return found.estimate if found.estimate is not None else float("inf")
