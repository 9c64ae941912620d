"""The alarm about times of the schedule that nobody was there for: one for each job, until it has run again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from everfit.flow import alerting, schedule
from everfit.monitoring.alarm_keys import key_of
from everfit.ports import Progress, StateStore
from everfit.records.schedule import Job, Slot, Turnout
from everfit.records.watch import Alarm, AlarmKind

_WHAT = {Job.DATA: "reading and checking the data", Job.TRAINING: "training", Job.MONITORING: "looking at production"}


def watch(
    plans: Iterable[schedule.Plan], channels: alerting.Channels, state: StateStore, progress: Progress, now: datetime
) -> None:
    """Raises what was missed and not written down yet: who looks is there, though who keeps the times is not."""
    found = [slot for plan in plans if (slot := schedule.overdue(state, plan, now))]
    if found:
        alerting.send([_alarm(slot) for slot in found], channels, state, progress, now)


def follow(slot: Slot, channels: alerting.Channels, state: StateStore, progress: Progress) -> None:
    """Raises the alarm about a time that was missed, and resolves it once the job has run again."""
    if slot.turnout is Turnout.MISSED:
        alerting.send([_alarm(slot)], channels, state, progress, slot.at)
    elif slot.turnout is Turnout.DONE:
        alerting.close(_alarm(slot).key, state, slot.at, f"it ran at {slot.due:%Y-%m-%d %H:%M} UTC")


def _alarm(slot: Slot) -> Alarm:
    times = f"{slot.times:,} times" if slot.times > 1 else "one time"
    return Alarm(
        key=key_of(AlarmKind.FAILURE, "schedule", [slot.job.value]),
        kind=AlarmKind.FAILURE,
        at=slot.at,
        message=f"{_WHAT[slot.job]} missed {times} of `schedule.{slot.job}`, the last at "
        f"{slot.due:%Y-%m-%d %H:%M} UTC: {slot.text}; what was missed is not made up for",
        evidence={"task": slot.job.value, "missed": slot.times, "due": slot.due.isoformat()},
        cause="Likely cause: `everfit up` did not run, or one run took longer than the time to the next.",
    )
