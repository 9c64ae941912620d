"""Jobs by the clock: each time once, missed ones told and not made up for, failures tried again, restarts survived."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.flow_places import Told

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import Conflict, SourceError
from everfit.flow import alerting, missing, schedule
from everfit.flow.schedule import Came, Plan
from everfit.ports import StateStore
from everfit.records.schedule import Job, Slot, Turnout
from everfit.records.watch import AlarmKind, AlarmState

NIGHT = datetime(2026, 1, 5, tzinfo=UTC)
HOURLY = Plan(Job.DATA, "0 * * * *", retries=2)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass
class Machine:
    """A machine with a clock that tests turn, and what happened on it."""

    state: StateStore
    now: datetime = NIGHT
    ran: list[datetime] = field(default_factory=list)
    told: list[Slot] = field(default_factory=list)
    plan: Plan = HOURLY

    def tick(self, work: Callable[[], Came] | None = None) -> None:
        def done() -> Came:
            self.ran.append(self.now)
            return Came("done")

        schedule.tick(self.state, self.plan, work or done, lambda: self.now, self.told.append)

    def last(self) -> Slot:
        found = schedule.last_slot(self.state, self.plan.job)
        assert found is not None
        return found[1]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = Machine(SqliteState(tmp_path / "state.db"))
    found.tick()
    return found


def test_nothing_before_the_first_start_was_missed(machine: Machine) -> None:
    assert (machine.ran, machine.told) == ([], [])
    assert machine.last().turnout is Turnout.WAITED


def test_each_time_is_run_once_however_often_the_clock_is_looked_at(machine: Machine) -> None:
    for seconds in range(0, 3 * 3600 + 5, 5):
        machine.now = NIGHT + timedelta(seconds=seconds)
        machine.tick()
    assert machine.ran == [NIGHT + HOUR, NIGHT + 2 * HOUR, NIGHT + 3 * HOUR]
    assert machine.last().done == 3


def test_a_time_within_the_grace_is_still_run(machine: Machine) -> None:
    machine.now = NIGHT + HOUR + 9 * MINUTE
    machine.tick()
    assert len(machine.ran) == 1
    assert machine.last().due == NIGHT + HOUR


def test_missed_times_are_told_once_and_not_run(machine: Machine) -> None:
    machine.now = NIGHT + 5 * HOUR + 30 * MINUTE
    machine.tick()
    machine.tick()
    (missed,) = machine.told
    assert machine.ran == []
    assert (missed.turnout, missed.times, missed.missed, missed.due) == (Turnout.MISSED, 5, 5, NIGHT + 5 * HOUR)
    assert "nobody was there: 5 missed since 2026-01-05 01:00 UTC" in missed.text


def test_missed_times_are_seen_before_anybody_is_there_again(machine: Machine) -> None:
    assert schedule.overdue(machine.state, machine.plan, NIGHT + HOUR + 9 * MINUTE) is None
    before = machine.state.last("schedule data")
    seen = schedule.overdue(machine.state, machine.plan, NIGHT + 5 * HOUR + 30 * MINUTE)
    assert machine.state.last("schedule data") == before
    assert seen is not None
    machine.now = NIGHT + 5 * HOUR + 30 * MINUTE
    machine.tick()
    assert machine.told == [seen]
    assert schedule.overdue(machine.state, machine.plan, machine.now) is None


def test_a_job_that_nobody_ever_kept_or_with_new_times_has_missed_none(machine: Machine) -> None:
    later = NIGHT + 5 * HOUR
    assert schedule.overdue(machine.state, replace(machine.plan, job=Job.TRAINING), later) is None
    assert schedule.overdue(machine.state, replace(machine.plan, cron="30 * * * *"), later) is None


def test_missed_times_are_one_alarm_until_the_job_has_run_again(machine: Machine) -> None:
    def follow(slot: Slot) -> None:
        missing.follow(slot, {}, machine.state, Told())

    for hours in (5, 6):  # a look by somebody else finds them, and finds more of them
        missing.watch([machine.plan], {}, machine.state, Told(), NIGHT + hours * HOUR + 30 * MINUTE)
    (alarm,) = alerting.history(machine.state)
    assert (alarm.kind, alarm.state) == (AlarmKind.FAILURE, AlarmState.OPEN)
    assert "reading and checking the data missed 5 times of `schedule.data`" in alarm.message
    machine.now = NIGHT + 7 * HOUR + 30 * MINUTE
    schedule.tick(machine.state, machine.plan, lambda: Came("done"), lambda: machine.now, follow)
    assert [one.state for one in alerting.history(machine.state)] == [AlarmState.OPEN]
    machine.now = NIGHT + 8 * HOUR
    schedule.tick(machine.state, machine.plan, lambda: Came("done"), lambda: machine.now, follow)
    assert [one.state for one in alerting.history(machine.state)] == [AlarmState.RESOLVED]


def test_after_missed_times_the_newest_is_run_if_it_is_not_too_late(machine: Machine) -> None:
    machine.now = NIGHT + 3 * HOUR
    machine.tick()
    assert [(one.turnout, one.due) for one in machine.told] == [
        (Turnout.MISSED, NIGHT + 2 * HOUR),
        (Turnout.DONE, NIGHT + 3 * HOUR),
    ]


def test_years_of_absence_cost_no_more_than_a_bounded_count(machine: Machine) -> None:
    machine.now = NIGHT + timedelta(days=3000, minutes=30)
    machine.tick()
    assert machine.last().times == schedule.MOST


def fails() -> Came:
    raise SourceError("the bucket is away")


def test_a_failure_is_tried_again_after_the_delay_and_no_more_than_so_often(machine: Machine) -> None:
    tries = []
    for minutes in range(60, 100):
        machine.now = NIGHT + minutes * MINUTE
        try:
            machine.tick(fails)
        except SourceError:
            tries.append(minutes)
    assert tries == [60, 65, 70]
    assert (machine.last().failed, machine.last().retry, machine.last().text) == (3, None, "the bucket is away")


def test_an_answer_that_stays_the_same_is_not_tried_again(machine: Machine) -> None:
    machine.now = NIGHT + HOUR
    machine.tick(lambda: Came("1 of 2 gates failed", error=True, again=False))
    machine.now += 6 * MINUTE
    machine.tick()
    assert machine.ran == []


def test_a_try_that_works_ends_the_trying(machine: Machine) -> None:
    machine.now = NIGHT + HOUR
    machine.tick(lambda: Came("no connection", error=True))
    machine.now += 5 * MINUTE
    machine.tick()
    machine.now += 5 * MINUTE
    machine.tick()
    assert len(machine.ran) == 1
    assert (machine.last().turnout, machine.last().attempt) == (Turnout.DONE, 2)


def test_the_next_time_comes_before_the_next_try(machine: Machine) -> None:
    machine.plan = replace(HOURLY, delay=2 * HOUR)
    machine.now = NIGHT + HOUR
    machine.tick(lambda: Came("no connection", error=True))
    machine.now = NIGHT + 2 * HOUR
    machine.tick()
    assert (machine.last().due, machine.last().attempt) == (NIGHT + 2 * HOUR, 1)


class Killed(BaseException):
    """The process ends, with no time to write anything."""


def killed() -> Came:
    raise Killed


@pytest.mark.parametrize(("job", "again"), [(Job.DATA, True), (Job.TRAINING, False)])
def test_what_was_killed_is_noticed_at_the_next_start(machine: Machine, job: Job, again: bool) -> None:
    machine.plan = replace(HOURLY, job=job)
    machine.tick()
    machine.now = NIGHT + HOUR
    with pytest.raises(Killed):
        machine.tick(killed)
    machine.now += MINUTE
    machine.tick()
    assert machine.told[-1].text == "its process ended before it did"
    machine.now += 5 * MINUTE
    machine.tick()
    assert bool(machine.ran) is again  # a retraining is gone on with by itself


def test_a_changed_time_begins_anew(machine: Machine) -> None:
    machine.now = NIGHT + 30 * MINUTE
    machine.plan = replace(HOURLY, cron="*/10 * * * *")
    machine.tick()
    assert (machine.ran, machine.told) == ([], [])
    machine.now += 10 * MINUTE
    machine.tick()
    assert machine.ran == [NIGHT + 40 * MINUTE]


class Late(SqliteState):
    """A state in which another process was first, between looking and writing."""

    other: Callable[[], None] | None = None

    def append(self, stream: str, document: bytes, expect: int | None = None) -> int:
        first, self.other = self.other, None
        if first is not None:
            first()
        return super().append(stream, document, expect)


def test_of_two_processes_one_begins(machine: Machine, tmp_path: Path) -> None:
    machine.now = NIGHT + HOUR
    late = Machine(Late(tmp_path / "state.db"), machine.now)
    late.state.other = machine.tick  # type: ignore[attr-defined]
    with pytest.raises(Conflict):
        late.tick()
    assert (len(machine.ran), len(late.ran)) == (1, 0)


def test_the_history_holds_what_ended(machine: Machine) -> None:
    for hours in range(1, 5):
        machine.now = NIGHT + hours * HOUR
        machine.tick()
    found = schedule.history(machine.state, most=3)
    assert [one.due for one in found] == [NIGHT + hours * HOUR for hours in (2, 3, 4)]
