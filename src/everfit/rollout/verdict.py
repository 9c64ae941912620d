"""The verdict on a challenger: go on, promote, roll back, or inconclusive, with bounded chances of being wrong.

Rolled back is whoever is shown to be worse than a margin by any criterion. The chance alpha = 1 - confidence is shared
equally among the criteria, so that a challenger within all of its margins is rolled back for them, anywhere in the
release and however often one looks, with probability at most alpha. Promoted is whoever is shown to be within every
margin: a challenger that is worse than one is, with probability at most alpha. The steps before the last only bound
how much traffic a bad challenger may get: they end well with enough requests and nothing shown against it.

A step that lacks requests or observations of a criterion by its deadline is rolled back: no evidence is no evidence of
health. What is only undecided by then has the end that the project states.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from everfit.errors import ReleaseError
from everfit.project.sections.release import Release
from everfit.records.release import Action, Criterion, Finding, ReleaseState, Strategy, Verdict
from everfit.records.table import Value
from everfit.rollout import quantiles
from everfit.rollout.burst import is_burst
from everfit.rollout.courses import Course, Next, follow
from everfit.rollout.criteria import Scale
from everfit.rollout.findings import Levels, finding
from everfit.rollout.tally import ArmTally, StepTally
from everfit.rollout.wording import told


def judge(
    state: ReleaseState,
    release: Release,
    seen: Sequence[StepTally],
    scale: Scale,
    now: datetime,
    challengers: int = 1,
) -> Verdict:
    """The verdict from what both arms did in every step so far, the one under way last, of a release that has so many
    challengers.

    Whoever calls acts on every verdict but INCONCLUSIVE. Raises ReleaseError when no challenger is on trial, or when
    the counts are not those of its steps."""
    _check(state, seen)
    # Thompson sampling sets a share anew for every step: none begins afresh.
    steps = 1 if state.strategy is Strategy.THOMPSON else len(state.steps)
    levels = Levels.of(release.verdict, steps, challengers)
    margins = release.verdict.margins.items()
    findings = tuple(finding(criterion, margin, seen, scale, levels) for criterion, margin in margins)
    next_ = _next(state, release, findings, seen, now, levels)
    figures = {**_figures(state, seen[-1]), **_bounds(findings), **next_.figures}
    return Verdict(next_.action, next_.reason, levels.fine, figures, state.challenger, now, findings)


def _next(
    state: ReleaseState,
    release: Release,
    findings: Sequence[Finding],
    seen: Sequence[StepTally],
    now: datetime,
    levels: Levels,
) -> Next:
    worse = [one for one in findings if one.worse]
    if worse:
        return Next(Action.ROLL_BACK, f"worse than allowed: {told(worse[0])}")
    if Criterion.ERRORS not in release.verdict.margins:
        arms = [step.challenger for step in seen]
        failures, requests = sum(arm.failures for arm in arms), sum(arm.requests for arm in arms)
        if is_burst(failures, requests, release.guard.burst, levels.fine):
            return Next(Action.ROLL_BACK, f"a burst of errors: {failures:,} of {requests:,} requests failed")
    return follow(Course(state, release, findings, seen, now))


def _check(state: ReleaseState, seen: Sequence[StepTally]) -> None:
    if state.challenger is None or not state.steps:
        raise ReleaseError("no canary is under way", where="verdict", fix="start one with `everfit release`")
    if len(seen) != state.step + 1:
        raise ReleaseError(
            f"the evidence is about {len(seen)} steps, and the release is on step {state.step + 1}",
            where="verdict",
            fix="read the release's state again; it moved meanwhile",
        )


def _figures(state: ReleaseState, step: StepTally) -> dict[str, Value]:
    arms = (("champion", step.champion), ("challenger", step.challenger))
    return {
        "step": state.step,
        "share": state.steps[state.step],
        **{f"{name}_requests": arm.requests for name, arm in arms},
        **{f"{name}_errors": arm.errors for name, arm in arms},
        **{f"{name}_latency_p99": _tail(arm) for name, arm in arms},
    }


def _tail(arm: ArmTally) -> float | None:
    return quantiles.quantile(arm.latencies, 0.99) if arm.latencies.any() else None


def _bounds(findings: Sequence[Finding]) -> dict[str, Value]:
    return {
        f"{one.criterion}_{name}": value
        for one in findings
        for name, value in (("excess", one.estimate), ("low", one.low), ("high", one.high), ("margin", one.margin))
    }
