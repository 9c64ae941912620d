"""An A/B test of several challengers: each is judged against the champion's arm alone, and the best of them wins.

The chance of a wrong statement is shared: each of k challengers is judged with a k-th of it, so that the chance that
any challenger that is no worse is stopped, or one that is worse promoted, is at most that of the whole test.

A challenger that is stopped leaves its entities where they are: its arm is answered by the champion's version from then
on, and counts for nobody. So no other arm's share or entities change, and what was seen stays comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from everfit.records.release import LABELLED, Action, ReleaseState, Variant, Verdict


def alone(state: ReleaseState, variant: Variant) -> ReleaseState:
    """The test as this challenger and the champion's arm see it: its share is that of the two of them together."""
    control = 1.0 - sum(one.share for one in state.variants)
    share = variant.share / (variant.share + control)
    return replace(state, challenger=variant.version, steps=(share,), names=(state.names[0], variant.name), variants=())


def decided(judged: Sequence[Verdict]) -> Verdict:
    """The verdict to act on: a challenger that is to go, goes at once; a promotion waits until every challenger that is
    left has earned one, and is that of the best."""
    for wanted in (Action.ROLL_BACK, Action.INCONCLUSIVE):
        for one in judged:
            if one.action is wanted:
                return one
    return min(judged, key=_excess)


def _excess(verdict: Verdict) -> float:
    """By how much a challenger is above the champion: in its labels where they are judged, else in what comes first."""
    labelled = [found for found in verdict.findings if found.criterion in LABELLED]
    found = (labelled or list(verdict.findings))[0]
    return found.estimate if found.estimate is not None else float("inf")
