"""Alarms reach their channels once each, and none is lost to a channel that is down."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import StorageError
from everfit.flow import alerting
from everfit.flow.run import Silent
from everfit.records.watch import Alarm, AlarmKind

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Channel:
    """One that may be down."""

    def __init__(self) -> None:
        self.down = False
        self.taken: list[str] = []

    def send(self, alarm: Alarm) -> None:
        if self.down:
            raise StorageError("nobody listens", where="channel", fix="wait")
        self.taken.append(alarm.key)


def alarm(key: str) -> Alarm:
    return Alarm(key, AlarmKind.DRIFT, AT, "moved")


@pytest.fixture
def state(tmp_path: Path) -> SqliteState:
    return SqliteState(tmp_path / "state.db")


def test_each_alarm_is_delivered_once(state: SqliteState) -> None:
    channel = Channel()
    sent = [alerting.send(found, [channel], state, Silent()) for found in ([alarm("drift:1:age")],) * 2]
    assert (sent, channel.taken) == ([1, 0], ["drift:1:age"])


def test_an_alarm_that_was_refused_is_delivered_later_though_no_look_finds_it_again(state: SqliteState) -> None:
    channel = Channel()
    channel.down = True
    assert alerting.send([alarm("drift:1:age")], [channel], state, Silent()) == 0
    assert alerting.send([alarm("drift:1:age")], [channel], state, Silent()) == 0
    channel.down = False
    assert [alerting.send([], [channel], state, Silent()) for _ in range(2)] == [1, 0]
    assert channel.taken == ["drift:1:age"]
    assert [one.key for one in alerting.history(state)] == ["drift:1:age"]


def test_what_waited_is_told_in_the_order_in_which_it_was_found(state: SqliteState) -> None:
    channel = Channel()
    channel.down = True
    for key in ("drift:1:age", "drift:1:age,tenure"):
        alerting.send([alarm(key)], [channel], state, Silent())
    channel.down = False
    alerting.send([], [channel], state, Silent())
    assert channel.taken == ["drift:1:age", "drift:1:age,tenure"]
