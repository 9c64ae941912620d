"""Alarms to their channels, each once."""

from __future__ import annotations

from collections.abc import Sequence

from everfit.errors import EverfitError
from everfit.monitoring import alarms
from everfit.ports import AlertChannel, Progress, StateStore
from everfit.records.codec import decode, encode
from everfit.records.watch import Alarm

ALARMS = "alarms"


def send(found: Sequence[Alarm], channels: Sequence[AlertChannel], state: StateStore, progress: Progress) -> int:
    """Delivers what was not delivered before and returns how many alarms were. An alarm that any channel refused is
    said to `progress` and stays due: it is sent again at the next look that finds it."""
    delivered = 0
    for alarm in alarms.unsent(found, [one.key for one in history(state)]):
        refused = [error for channel in channels if (error := _refusal(channel, alarm))]
        for error in refused:
            progress.note(f"alarm not delivered: {error}")
        if not refused:
            state.append(ALARMS, encode(alarm))
            delivered += 1
    return delivered


def history(state: StateStore) -> list[Alarm]:
    """All alarms delivered so far, oldest first."""
    return [decode(Alarm, text, where=f"alarm {number}") for number, text in state.read(ALARMS)]


def _refusal(channel: AlertChannel, alarm: Alarm) -> EverfitError | None:
    try:
        channel.send(alarm)
    except EverfitError as error:
        return error
    return None
