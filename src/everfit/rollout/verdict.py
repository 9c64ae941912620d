"""The verdict on a canary: go on, promote, roll back or wait, with a bounded chance of a false abort.

The chance alpha = 1 - confidence is shared equally among the canary's steps, and within a step between two tests:

- A burst of errors may be found at any look, by an e-process: a fifth of the step's share.
- Once both arms have `requests` requests in the step, it is judged by one exact test and always ends: the rest.

By the union bound a challenger whose error rate is at most the champion's plus the margin is rolled back for its
errors, anywhere in the canary, with probability at most alpha, however often one looks. A step that lacks requests by
its deadline is rolled back too: missing evidence is no evidence of health, and is not counted in alpha.
"""

from __future__ import annotations

import math
from datetime import datetime

from everfit.errors import ReleaseError
from everfit.project.sections.release import Release
from everfit.records.release import Action, ArmEvidence, ReleaseState, Verdict
from everfit.records.table import Value
from everfit.rollout.evidence import Counts, log_e_value, p_value

_BURST_SHARE = 0.2
_GAMMA_SHARE = 0.05


def judge(
    state: ReleaseState, release: Release, champion: ArmEvidence, challenger: ArmEvidence, now: datetime
) -> Verdict:
    """The verdict on the step under way, from what both arms did since it began (`state.step_since`).

    Whoever calls applies every verdict but WAIT, so that no step is judged twice. Raises ReleaseError when no canary
    is under way or the evidence is not about its two versions.

    >>> from datetime import UTC, timedelta
    >>> began = datetime(2026, 1, 1, tzinfo=UTC)
    >>> state = ReleaseState(number=4, champion=1, challenger=2, steps=(0.1, 0.5), step_since=began)
    >>> healthy, broken = ArmEvidence(1, 900, 4, 0.02), ArmEvidence(2, 6, 5, 0.02)
    >>> judge(state, Release(), healthy, broken, began + timedelta(minutes=1)).action.value
    'roll_back'
    """
    _check(state, champion, challenger)
    alpha = 1 - release.verdict.confidence
    share = alpha / len(state.steps)
    counts = Counts(champion.errors, champion.requests, challenger.errors, challenger.requests)
    margin = release.verdict.errors
    burst = log_e_value(counts, margin)
    figures = _figures(state, champion, challenger, burst)
    if share > 0 and burst >= -math.log(share * _BURST_SHARE):
        return Verdict(Action.ROLL_BACK, f"a burst of errors: {_told(challenger, champion)}", alpha, figures)
    if min(counts.n1, counts.n2) >= release.verdict.requests:
        level = share * (1 - _BURST_SHARE)
        p = p_value(counts, margin, level * _GAMMA_SHARE)
        return _judged(state, p <= level, _told(challenger, champion), alpha, {**figures, "p_value": p, "level": level})
    return _waiting(state, release, counts, now, alpha, figures)


def _judged(state: ReleaseState, worse: bool, told: str, alpha: float, figures: dict[str, Value]) -> Verdict:
    if worse:
        return Verdict(Action.ROLL_BACK, f"more errors than allowed: {told}", alpha, figures)
    if state.step + 1 < len(state.steps):
        share = state.steps[state.step + 1]
        return Verdict(Action.ADVANCE, f"no more errors than allowed, on to {100 * share:.4g}%: {told}", alpha, figures)
    return Verdict(Action.PROMOTE, f"passed every step: {told}", alpha, figures)


def _waiting(
    state: ReleaseState, release: Release, counts: Counts, now: datetime, alpha: float, figures: dict[str, Value]
) -> Verdict:
    needed = release.verdict.requests
    seen = f"{counts.n2} requests to the challenger and {counts.n1} to the champion, {needed} needed of each"
    if state.step_since is not None and now - state.step_since >= release.verdict.deadline:
        return Verdict(Action.ROLL_BACK, f"too little evidence by the deadline: {seen}", alpha, figures)
    return Verdict(Action.WAIT, seen, alpha, figures)


def _check(state: ReleaseState, champion: ArmEvidence, challenger: ArmEvidence) -> None:
    if state.challenger is None or not state.steps:
        raise ReleaseError("no canary is under way", where="verdict", fix="start one with `everfit release`")
    for arm, version in ((champion, state.champion), (challenger, state.challenger)):
        if arm.version != version:
            raise ReleaseError(
                f"the evidence is about version {arm.version}, not {version}",
                where="verdict",
                fix="read the release's state again; it moved meanwhile",
            )
        if not 0 <= arm.errors <= arm.requests:
            raise ReleaseError(
                f"version {version} has {arm.errors} errors in {arm.requests} requests",
                where="verdict",
                fix="count errors among the requests of the same window",
            )


def _figures(
    state: ReleaseState, champion: ArmEvidence, challenger: ArmEvidence, log_e_value: float
) -> dict[str, Value]:
    return {
        "step": state.step,
        "share": state.steps[state.step],
        "champion_requests": champion.requests,
        "champion_errors": champion.errors,
        "champion_latency_p99": champion.latency_p99,
        "challenger_requests": challenger.requests,
        "challenger_errors": challenger.errors,
        "challenger_latency_p99": challenger.latency_p99,
        "log_e_value": log_e_value,
    }


def _told(challenger: ArmEvidence, champion: ArmEvidence) -> str:
    return f"challenger {challenger.errors} of {challenger.requests}, champion {champion.errors} of {champion.requests}"
