"""Alarms to their channels, each once."""

from __future__ import annotations

from collections.abc import Sequence

from everfit.errors import EverfitError
from everfit.monitoring import alarms
from everfit.ports import AlertChannel, Progress, StateStore
from everfit.records.codec import decode, encode
from everfit.records.watch import Alarm

DUE, ALARMS = "alarms due", "alarms"


def send(found: Sequence[Alarm], channels: Sequence[AlertChannel], state: StateStore, progress: Progress) -> int:
    """Delivers what was not delivered before and returns how many alarms were. An alarm that any channel refused is
    said to `progress` and stays due: it is sent again with the next ones, or with none, for no later look finds again
    what one has found."""
    told, waiting = [one.key for one in history(state)], _read(state, DUE)
    news = alarms.unsent(found, [*told, *(one.key for one in waiting)])
    delivered = 0
    for alarm in (*alarms.unsent(waiting, told), *news):
        refused = [error for channel in channels if (error := _refusal(channel, alarm))]
        for error in refused:
            progress.note(f"alarm not delivered: {error}")
        delivered += not refused
        if alarm in news or not refused:  # written after it was tried: a full disk must not keep it from anybody
            state.append(DUE if refused else ALARMS, encode(alarm))
    return delivered


def history(state: StateStore) -> list[Alarm]:
    """All alarms delivered so far, oldest first."""
    return _read(state, ALARMS)


def _read(state: StateStore, stream: str) -> list[Alarm]:
    return [decode(Alarm, text, where=f"alarm {number}") for number, text in state.read(stream)]


def _refusal(channel: AlertChannel, alarm: Alarm) -> EverfitError | None:
    try:
        channel.send(alarm)
    except EverfitError as error:
        return error
    return None
