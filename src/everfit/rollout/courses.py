"""How a release of each strategy goes on when nothing is shown to be worse: its steps, its time, its proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from everfit.project.sections.release import Release
from everfit.records.release import Action, Finding, ReleaseState, Strategy
from everfit.records.table import Value
from everfit.rollout import thompson
from everfit.rollout.tally import StepTally
from everfit.rollout.wording import told


@dataclass(frozen=True, slots=True)
class Course:
    """What is known at a look: nothing in `findings` is worse than its margin."""

    state: ReleaseState
    release: Release
    findings: Sequence[Finding]
    seen: Sequence[StepTally]
    now: datetime

    def lasted(self, since: datetime | None) -> timedelta:
        """How long ago that was."""
        return self.now - since if since is not None else timedelta(0)

    @property
    def in_step(self) -> timedelta:
        """Since the step under way began."""
        return self.lasted(self.state.step_since)

    @property
    def in_all(self) -> timedelta:
        """Since the release began."""
        return self.lasted(self.state.step_times[0] if self.state.step_times else self.state.step_since)

    @property
    def is_last(self) -> bool:
        """Whether no step follows."""
        return self.state.step + 1 >= len(self.state.steps)


@dataclass(frozen=True, slots=True)
class Next:
    """What is to be done, why, and figures beyond those of every verdict."""

    action: Action
    reason: str
    figures: Mapping[str, Value] = field(default_factory=dict)


def follow(course: Course) -> Next:
    """The next action by the strategy of the release under way."""
    return _COURSES[course.state.strategy](course)


def _by_steps(course: Course) -> Next:
    """Canary and shadow: every step needs its requests, the last one the proof."""
    late = course.in_step >= course.release.verdict.deadline
    lacking = _lacking(course)
    if lacking:
        return Next(Action.ROLL_BACK, f"too little evidence by the deadline: {lacking}") if late else _wait(lacking)
    return _proven(course, late) if course.is_last else _onward(course, "nothing worse than allowed")


def _by_time(course: Course) -> Next:
    """Rolling: a part after each pause."""
    pause = course.release.rolling.pause
    if course.in_step < pause:
        return _wait(f"the next part follows after {pause}")
    if course.is_last:
        return Next(Action.PROMOTE, "every part but the last has moved, and nothing is worse than allowed")
    return _onward(course, "nothing worse than allowed")


def _at_once(course: Course) -> Next:
    """Blue/green: when every server has had the time to load it."""
    if course.in_step < course.release.blue_green.after:
        return _wait("servers load the new version beside the old one")
    return Next(Action.PROMOTE, "loaded beside the old version, and all traffic moves at once")


def _tested(course: Course) -> Next:
    """A/B: at the horizon, or as soon as it is proven."""
    horizon = course.release.ab.horizon
    if horizon is not None and course.in_all < horizon:
        return _wait(f"decided at the horizon, {horizon} after the test began")
    late = horizon is not None or course.in_all >= course.release.verdict.deadline
    lacking = _lacking(course)
    if lacking:
        return Next(Action.ROLL_BACK, f"too little evidence by then: {lacking}") if late else _wait(lacking)
    return _proven(course, late)


def _by_labels(course: Course) -> Next:
    """Thompson sampling: the share follows the labels until the proof."""
    settings = course.release.thompson
    late = course.in_all >= course.release.verdict.deadline
    lacking = _lacking(course)
    end = _wait(lacking) if lacking and not late else _proven(course, late)
    if end.action is not Action.INCONCLUSIVE or course.in_step < settings.every:
        return end
    chance, share = thompson.share(course.seen, settings.floor, settings.explore)
    if abs(share - course.state.steps[course.state.step]) < thompson.LEAST_CHANGE:
        return end
    figures: dict[str, Value] = {"next_share": share, "chance_better": chance}
    return Next(Action.ADVANCE, f"better with a chance of {chance:.0%}, on to {100 * share:.4g}%", figures)


def _lacking(course: Course) -> str:
    """What the step lacks of requests, in words."""
    needed, step = course.release.verdict.requests, course.seen[-1]
    champion, challenger = step.champion.requests, step.challenger.requests
    if min(champion, challenger) >= needed:
        return ""
    return f"{challenger:,} requests to the challenger and {champion:,} to the champion, {needed:,} needed of each"


def _onward(course: Course, why: str) -> Next:
    return Next(Action.ADVANCE, f"{why}, on to {100 * course.state.steps[course.state.step + 1]:.4g}%")


def _proven(course: Course, late: bool) -> Next:
    """Promoted with the proof of every criterion; without it, at the deadline, as the project says."""
    unproven = [one for one in course.findings if not one.fine]
    if not unproven:
        return Next(Action.PROMOTE, f"as good as asked for: {'; '.join(map(told, course.findings))}")
    unseen = [one for one in unproven if one.estimate is None]
    left = told((unseen or unproven)[0])
    if not late:
        return _wait(f"not decided yet: {left}")
    if not unseen and not _lacking(course) and course.release.verdict.inconclusive == "promote":
        reason = f"neither worse nor shown to be fine by the deadline, and promoted as agreed: {left}"
        return Next(Action.PROMOTE, reason)
    return Next(Action.ROLL_BACK, f"not shown to be fine by the deadline: {left}")


def _wait(why: str) -> Next:
    return Next(Action.INCONCLUSIVE, why)


_COURSES: Mapping[Strategy, Callable[[Course], Next]] = {
    Strategy.CANARY: _by_steps,
    Strategy.SHADOW: _by_steps,
    Strategy.ROLLING: _by_time,
    Strategy.BLUE_GREEN: _at_once,
    Strategy.AB: _tested,
    Strategy.THOMPSON: _by_labels,
}
