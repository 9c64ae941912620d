"""When what runs by the clock is due, and the record of it.

A time that nobody was there for is missed: it is told, and never made up for. What has begun is written down first, by
compare-and-set, so that no two processes begin the same time, and one that was killed is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from everfit.ports import StateStore
from everfit.project import calendar
from everfit.project.sections.schedule import Schedule
from everfit.records.codec import decode, encode
from everfit.records.schedule import Job, Slot, Turnout

MOST = 1_000  # times that one record of missed ones counts; what lies before them is not counted
_COUNTED = {Turnout.DONE: "done", Turnout.FAILED: "failed", Turnout.MISSED: "missed"}


@dataclass(frozen=True, slots=True)
class Plan:
    """When a job runs, how late it may begin, and how often a failure is tried again after which time."""

    job: Job
    cron: str
    zone: str = "UTC"
    grace: timedelta = timedelta(minutes=10)
    retries: int = 0
    delay: timedelta = timedelta(minutes=5)

    def __str__(self) -> str:
        return f"{calendar.in_words(self.cron)} ({self.zone})"

    def next(self, now: datetime) -> datetime:
        """The first time after now."""
        return next(calendar.slots(self.cron, self.zone, now))


@dataclass(frozen=True, slots=True)
class Due:
    """The time to be begun now, if any, and those that nobody was there for."""

    slot: datetime | None
    attempt: int = 1
    missed: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Came:
    """What a job came to. An `error` that another try may mend is tried `again`."""

    text: str
    error: bool = False
    again: bool = True


def plans(schedule: Schedule) -> Mapping[Job, Plan]:
    """The jobs that have times."""
    given = {job: getattr(schedule, job.value) for job in Job}
    s = schedule
    return {
        job: Plan(job, cron, s.timezone, s.grace, s.retries, s.delay) for job, cron in given.items() if cron is not None
    }


def due(plan: Plan, last: Slot, now: datetime) -> Due:
    """The newest time since the last one, unless it is later than the grace; before it is a failure's next try.

    >>> noon = datetime.fromisoformat("2026-01-05T12:00Z")
    >>> last = Slot(Job.DATA, "0 * * * *", "UTC", noon, noon, Turnout.DONE)
    >>> due(Plan(Job.DATA, "0 * * * *"), last, noon + timedelta(hours=2)).missed == (noon + timedelta(hours=1),)
    True
    """
    times = calendar.passed(plan.cron, plan.zone, last.due, now, MOST)
    if times and now - times[-1] <= plan.grace:
        return Due(times[-1], 1, tuple(times[:-1]))
    if not times and last.retry is not None and last.retry <= now:
        return Due(last.due, last.attempt + 1)
    return Due(None, missed=tuple(times))


def tick(
    state: StateStore, plan: Plan, work: Callable[[], Came], clock: Callable[[], datetime], tell: Callable[[Slot], None]
) -> None:
    """Does the job if it is due, and writes down what came of it; `tell` hears of each time that ended or was missed.

    Raises what `work` raises, after it was written down; Conflict where another process was first."""
    record = _Record(state, plan, clock, tell)
    found = due(plan, record.last, clock())
    if found.missed:
        record.write(
            Turnout.MISSED, due=found.missed[-1], attempt=1, text=_nobody(found.missed), times=len(found.missed)
        )
    if found.slot is None:
        return
    record.write(Turnout.BEGUN, due=found.slot, attempt=found.attempt)
    try:
        came = work()
    except Exception as error:
        record.fail(str(error).partition("\n")[0])
        raise
    if came.error:
        record.fail(came.text, came.again)
    else:
        record.write(Turnout.DONE, text=came.text)


def overdue(state: StateStore, plan: Plan, now: datetime) -> Slot | None:
    """The times that were missed and that no process has written down yet, as one will once it is there again; None
    where there are none, or the job never had a process."""
    last = last_slot(state, plan.job)
    if last is None or (last[1].cron, last[1].zone) != (plan.cron, plan.zone):
        return None
    times = due(plan, last[1], now).missed
    if not times:
        return None
    return replace(
        last[1],
        due=times[-1],
        at=now,
        turnout=Turnout.MISSED,
        attempt=1,
        text=_nobody(times),
        retry=None,
        times=len(times),
        missed=last[1].missed + len(times),
    )


def _nobody(times: Sequence[datetime]) -> str:
    if len(times) == 1:
        return "nobody was there"
    return f"nobody was there: {len(times):,} missed since {times[0]:%Y-%m-%d %H:%M} UTC"


class _Record:
    """The stream of one job; begins it where the job is new or its times have changed."""

    def __init__(
        self, state: StateStore, plan: Plan, clock: Callable[[], datetime], tell: Callable[[Slot], None]
    ) -> None:
        self._state, self._plan, self._clock, self._tell = state, plan, clock, tell
        self._number, last = 0, last_slot(state, plan.job)
        now = clock()
        self.last = last[1] if last else Slot(plan.job, plan.cron, plan.zone, now, now, Turnout.WAITED)
        self._number = last[0] if last else 0
        if last is not None and self.last.turnout is Turnout.BEGUN:
            # A retraining is gone on with by itself.
            self.fail("its process ended before it did", again=plan.job is not Job.TRAINING)
        if last is None or (self.last.cron, self.last.zone) != (plan.cron, plan.zone):
            self.write(Turnout.WAITED, due=now, attempt=1)

    def fail(self, text: str, again: bool = True) -> None:
        """It failed, and is tried again if that is of use and was not done too often."""
        more = again and self.last.attempt <= self._plan.retries
        self.write(Turnout.FAILED, text=text, retry=self._clock() + self._plan.delay if more else None)

    def write(
        self,
        turnout: Turnout,
        due: datetime | None = None,
        attempt: int | None = None,
        text: str = "",
        retry: datetime | None = None,
        times: int = 1,
    ) -> None:
        """Appends what became of a time, of the one before where none is given."""
        counted = _COUNTED.get(turnout)
        counts = {counted: getattr(self.last, counted) + times} if counted else {}
        self.last = replace(
            self.last,
            cron=self._plan.cron,
            zone=self._plan.zone,
            due=due or self.last.due,
            at=self._clock(),
            turnout=turnout,
            attempt=attempt or self.last.attempt,
            text=text,
            retry=retry,
            times=times,
            **counts,
        )
        self._number = self._state.append(_stream(self._plan.job), encode(self.last), expect=self._number)
        if counted:
            self._tell(self.last)


def last_slot(state: StateStore, job: Job) -> tuple[int, Slot] | None:
    """The newest record of a job with its number."""
    last = state.last(_stream(job))
    return None if last is None else (last[0], decode(Slot, last[1], where=f"schedule, record {last[0]}"))


def history(state: StateStore, most: int = 50) -> list[Slot]:
    """What became of the last times of every job, oldest first."""
    found: list[Slot] = []
    for job in Job:
        last = state.last(_stream(job))
        after = max((last[0] if last else 0) - 2 * most, 0)  # each time has two records
        records = state.read(_stream(job), after)
        found += [decode(Slot, text, where=f"schedule, record {number}") for number, text in records]
    ended = [one for one in found if one.turnout in _COUNTED]
    return sorted(ended, key=lambda one: one.at)[-most:]


def _stream(job: Job) -> str:
    return f"schedule {job}"
