"""Alarms to their channels, each once in each of its states, and what became of them.

What was raised, what happened to it and who was told are three append-only streams, so that an alarm whose channel was
down is told later, though no look finds it again, and never twice to a channel that took it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from everfit.errors import EverfitError, RequestError
from everfit.monitoring.quality_alarms import of_quality, over_in
from everfit.monitoring.standing import over, unsent
from everfit.ports import AlertChannel, Progress, StateStore
from everfit.records.codec import decode, encode
from everfit.records.quality import QualityLook
from everfit.records.watch import Alarm, AlarmEvent, AlarmState, Delivery, MonitorReport

ALARMS, EVENTS, DELIVERIES = "alarms", "alarm events", "alarm deliveries"
MOST_ATTEMPTS = 8  # rounds, each with the channel's own attempts; after them an alarm is left on the dead-letter list
Channels = Mapping[str, AlertChannel]
T = TypeVar("T")


def send(
    found: Sequence[Alarm], channels: Channels, state: StateStore, progress: Progress, now: datetime | None = None
) -> int:
    """Raises what is news and tells every channel what it does not know yet; returns how many alarms were delivered
    to all channels. What a channel refuses is said to `progress`, and tried again with the next ones, or with none."""
    now = now or datetime.now(UTC)
    standing = [one.key for one in history(state) if one.state is not AlarmState.RESOLVED]
    for alarm in unsent(found, standing):
        state.append(ALARMS, encode(alarm))
    return deliver(channels, state, progress, now)


def deliver(channels: Channels, state: StateStore, progress: Progress, now: datetime, again: bool = False) -> int:
    """Tells every channel of each alarm and of its end; with `again` also what was given up."""
    done = 0
    past = _read(state, DELIVERIES, Delivery)
    taken = {(one.alarm, one.state, one.channel) for one in past if one.error is None}
    refused = [(one.alarm, one.state, one.channel) for one in past if one.error is not None]
    for alarm in _notices(state, taken):
        due = [name for name in channels if (alarm.id, alarm.state, name) not in taken]
        due = [name for name in due if again or refused.count((alarm.id, alarm.state, name)) < MOST_ATTEMPTS]
        errors = [error for name in due if (error := _tell(name, channels[name], alarm, state, now))]
        for error in errors:
            progress.note(f"alarm not delivered: {error}")
        done += bool(due) and not errors
    return done


def settle(report: MonitorReport, state: StateStore, now: datetime) -> list[Alarm]:
    """Resolves the alarms that the look has found to be over, and returns them."""
    return _resolve(over(history(state), report), state, now, "the next look found it over")


def after_run(look: QualityLook, channels: Channels, state: StateStore, progress: Progress) -> None:
    """Resolves what the table of a newer run has mended, and raises what is news in it."""
    _resolve(over_in(history(state), look), state, look.at, f"the table of run {look.about} passed")
    raised = of_quality(look)
    send((raised,) if raised else (), channels, state, progress, look.at)


def close(key: str, state: StateStore, now: datetime, reason: str) -> None:
    """Resolves the alarm of that key if one is not resolved."""
    standing = [one for one in history(state) if one.key == key and one.state is not AlarmState.RESOLVED]
    _resolve(standing, state, now, reason)


def _resolve(over: list[Alarm], state: StateStore, now: datetime, reason: str) -> list[Alarm]:
    for alarm in over:
        state.append(EVENTS, encode(AlarmEvent(alarm.id, AlarmState.RESOLVED, now, "everfit", reason)))
    return over


def change(state: StateStore, name: str, to: AlarmState, by: str, reason: str, now: datetime) -> Alarm:
    """Acknowledges or resolves an alarm by its id, or by the first characters of it.

    Raises RequestError when there is none, several, or it is resolved already."""
    meant = [one for one in history(state) if one.id.startswith(name)] if name else []
    if len(meant) != 1:
        what = f"{len(meant)} alarms have an id that begins with" if meant else "no alarm has the id"
        raise RequestError(f"{what} {name!r}", where="alarms", fix="`everfit alarms --all` lists them")
    if meant[0].state in (AlarmState.RESOLVED, to):
        raise RequestError(f"alarm {meant[0].id} is {meant[0].state} already", where="alarms", fix="nothing is to do")
    state.append(EVENTS, encode(AlarmEvent(meant[0].id, to, now, by, reason)))
    return replace(meant[0], state=to)


def history(state: StateStore) -> list[Alarm]:
    """All alarms so far, oldest first, each in the state that it is in now."""
    now = {event.alarm: event.state for event in events(state)}
    return [replace(one, state=now.get(one.id, AlarmState.OPEN)) for one in _read(state, ALARMS, Alarm)]


def events(state: StateStore) -> list[AlarmEvent]:
    """Who acknowledged and resolved what, oldest first."""
    return _read(state, EVENTS, AlarmEvent)


def undelivered(state: StateStore, channels: Channels) -> list[Delivery]:
    """The dead letters and what is still being tried: for each alarm and channel that has not taken it, the last
    refusal."""
    past = _read(state, DELIVERIES, Delivery)
    last = {(one.alarm, one.state, one.channel): one for one in past}
    return [one for one in last.values() if one.error is not None and one.channel in channels]


def _notices(state: StateStore, taken: set[tuple[str, AlarmState, str]]) -> Iterator[Alarm]:
    """Each alarm as it was raised, and as acknowledged and resolved where it was told open at all."""
    standing = history(state)
    known = {one.id: one for one in standing}
    for alarm in standing:
        if alarm.state is not AlarmState.RESOLVED:
            yield replace(alarm, state=AlarmState.OPEN)
    told = {alarm for alarm, state, _ in taken if state is AlarmState.OPEN}
    for event in events(state):
        if event.alarm in told and event.alarm in known:
            yield replace(known[event.alarm], state=event.state)


def _tell(name: str, channel: AlertChannel, alarm: Alarm, state: StateStore, now: datetime) -> EverfitError | None:
    problem: EverfitError | None = None
    try:
        channel.send(alarm)
    except EverfitError as error:
        problem = error
    # Written after it was tried: a full disk must not keep an alarm from anybody.
    state.append(DELIVERIES, encode(Delivery(alarm.id, alarm.state, name, now, str(problem) if problem else None)))
    return problem


def _read(state: StateStore, stream: str, kind: type[T]) -> list[T]:
    return [decode(kind, text, where=f"{stream}, document {number}") for number, text in state.read(stream)]
