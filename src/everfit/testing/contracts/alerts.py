"""What every AlertChannel must do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from everfit.errors import StorageError
from everfit.ports import AlertChannel
from everfit.records.watch import Alarm, AlarmKind

_ALARM = Alarm(
    key="drift:tenure",
    kind=AlarmKind.DRIFT,
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    message="tenure moved: 14% of rows",
    evidence={"effect": 0.14, "rows": 500, "column": "tenure", "test": None},
    false_alarm_rate=0.001,
)


class AlertChannelContract:
    """A person sees the alarm, or the caller hears that nobody did."""

    def make(self, folder: Path) -> AlertChannel:
        """A channel that delivers; the folder is there for what a receiver may want to write."""
        raise NotImplementedError

    def delivered(self, folder: Path) -> str:
        """All text that the channel made with this folder has delivered, as the receiver got it."""
        raise NotImplementedError

    def broken(self, folder: Path) -> AlertChannel:
        """A channel whose receiver cannot be reached."""
        raise NotImplementedError

    def test_the_receiver_gets_what_and_of_which_kind(self, tmp_path: Path) -> None:
        self.make(tmp_path).send(_ALARM)
        text = self.delivered(tmp_path)
        assert _ALARM.message in text
        assert _ALARM.kind in text

    def test_each_alarm_arrives(self, tmp_path: Path) -> None:
        channel = self.make(tmp_path)
        for number in range(3):
            channel.send(Alarm(f"k{number}", AlarmKind.PERFORMANCE, _ALARM.at, f"message number {number}"))
        text = self.delivered(tmp_path)
        assert [f"message number {number}" in text for number in range(3)] == [True] * 3

    def test_what_cannot_be_delivered_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError) as told:
            self.broken(tmp_path).send(_ALARM)
        assert told.value.fix
