"""Alarms reach their channels once each, and none is lost to a channel that is down."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import RequestError, StorageError
from everfit.flow import alerting
from everfit.flow.run import Silent
from everfit.records.watch import Alarm, AlarmKind, AlarmState, ColumnDrift, Decision, DriftReport, MonitorReport

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Channel:
    """One that may be down."""

    def __init__(self) -> None:
        self.down = False
        self.taken: list[str] = []
        self.states: list[AlarmState] = []

    def send(self, alarm: Alarm) -> None:
        if self.down:
            raise StorageError("nobody listens", where="channel", fix="wait")
        self.taken.append(alarm.key)
        self.states.append(alarm.state)


def alarm(key: str) -> Alarm:
    return Alarm(key, AlarmKind.DRIFT, AT, "moved")


@pytest.fixture
def state(tmp_path: Path) -> SqliteState:
    return SqliteState(tmp_path / "state.db")


def test_each_alarm_is_delivered_once(state: SqliteState) -> None:
    channel = Channel()
    sent = [alerting.send(found, {"pager": channel}, state, Silent()) for found in ([alarm("drift:1:age")],) * 2]
    assert (sent, channel.taken) == ([1, 0], ["drift:1:age"])


def test_an_alarm_that_was_refused_is_delivered_later_though_no_look_finds_it_again(state: SqliteState) -> None:
    channel = Channel()
    channel.down = True
    assert alerting.send([alarm("drift:1:age")], {"pager": channel}, state, Silent()) == 0
    assert alerting.send([alarm("drift:1:age")], {"pager": channel}, state, Silent()) == 0
    channel.down = False
    assert [alerting.send([], {"pager": channel}, state, Silent()) for _ in range(2)] == [1, 0]
    assert channel.taken == ["drift:1:age"]
    assert [one.key for one in alerting.history(state)] == ["drift:1:age"]


def test_what_waited_is_told_in_the_order_in_which_it_was_found(state: SqliteState) -> None:
    channel = Channel()
    channel.down = True
    for key in ("drift:1:age", "drift:1:age,tenure"):
        alerting.send([alarm(key)], {"pager": channel}, state, Silent())
    channel.down = False
    alerting.send([], {"pager": channel}, state, Silent())
    assert channel.taken == ["drift:1:age", "drift:1:age,tenure"]


def test_a_channel_that_took_an_alarm_is_not_told_again_because_another_was_down(state: SqliteState) -> None:
    up, down = Channel(), Channel()
    down.down = True
    for _ in range(2):
        alerting.send([alarm("drift:1:age")], {"up": up, "down": down}, state, Silent())
    (letter,) = alerting.undelivered(state, {"up": up, "down": down})
    assert (letter.channel, "nobody listens" in (letter.error or "")) == ("down", True)
    down.down = False
    assert alerting.send([], {"up": up, "down": down}, state, Silent()) == 1
    assert (up.taken, down.taken) == (["drift:1:age"], ["drift:1:age"])
    assert alerting.undelivered(state, {"up": up, "down": down}) == []


def test_an_alarm_is_given_up_after_many_rounds_and_sent_when_asked_again(state: SqliteState) -> None:
    channel = Channel()
    channel.down = True
    for _ in range(alerting.MOST_ATTEMPTS + 3):
        alerting.send([alarm("drift:1:age")], {"pager": channel}, state, Silent())
    assert len(state.read(alerting.DELIVERIES)) == alerting.MOST_ATTEMPTS
    channel.down = False
    assert alerting.send([], {"pager": channel}, state, Silent()) == 0
    assert alerting.deliver({"pager": channel}, state, Silent(), AT, again=True) == 1
    assert channel.taken == ["drift:1:age"]


def test_an_alarm_is_acknowledged_and_resolved_by_the_beginning_of_its_id(state: SqliteState) -> None:
    channel = Channel()
    alerting.send([alarm("drift:1:age")], {"pager": channel}, state, Silent())
    (raised,) = alerting.history(state)
    for to in (AlarmState.ACKNOWLEDGED, AlarmState.RESOLVED):
        assert alerting.change(state, raised.id[:5], to, "ann", "looking", AT).state is to
        alerting.send([], {"pager": channel}, state, Silent())
    assert channel.states == [AlarmState.OPEN, AlarmState.ACKNOWLEDGED, AlarmState.RESOLVED]
    assert [(e.by, e.reason) for e in alerting.events(state)] == [("ann", "looking")] * 2
    for name in (raised.id, "zzz", ""):
        with pytest.raises(RequestError):
            alerting.change(state, name, AlarmState.RESOLVED, "ann", "", AT)


def report(at: datetime, drift: DriftReport | None, version: int = 1) -> MonitorReport:
    decision = Decision(at, False, None, ())
    return MonitorReport(at, 0, drift, None, None, (), decision, version=version)


def calm(at: datetime, columns: tuple[ColumnDrift, ...]) -> DriftReport:
    return DriftReport(500, at, at, columns, None, 0.001, 0.02)


def test_an_alarm_is_over_once_a_look_has_tested_the_same_and_found_nothing(state: SqliteState) -> None:
    channel, later = Channel(), AT + timedelta(hours=1)
    alerting.send([alarm("drift:1:age")], {"pager": channel}, state, Silent())
    age, plan = (ColumnDrift(n, "kolmogorov_smirnov", 0.0, 1.0, 1.0, 0.0, False) for n in ("age", "plan"))
    assert alerting.settle(report(later, None), state, later) == []
    assert alerting.settle(report(later, calm(later, (plan,))), state, later) == []
    assert alerting.settle(report(later, calm(later, (replace(age, drifted=True), plan))), state, later) == []
    assert [one.key for one in alerting.settle(report(later, calm(later, (age, plan))), state, later)] == [
        "drift:1:age"
    ]
    again = replace(alarm("drift:1:age"), at=later)
    assert alerting.send([again], {"pager": channel}, state, Silent()) == 2
    assert channel.states == [AlarmState.OPEN, AlarmState.OPEN, AlarmState.RESOLVED]


def test_alarms_about_a_version_are_over_with_it(state: SqliteState) -> None:
    later = AT + timedelta(hours=1)
    alerting.send([alarm("drift:1:age")], {"pager": Channel()}, state, Silent())
    assert alerting.settle(report(later, None, version=1), state, later) == []
    assert len(alerting.settle(report(later, None, version=2), state, later)) == 1
