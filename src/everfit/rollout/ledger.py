"""The append-only ledger of a model: events chained by hash, and the release state folded from them.

Who writes appends each event by compare-and-set on the stream's length, so that the history stays one line. A chain
shows a changed, removed or inserted event by the one after it; the newest event has none after it and is not covered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from everfit.errors import ReleaseError, StorageError
from everfit.records.codec import encode
from everfit.records.release import PROVEN, WHOLE, Approval, EventKind, LedgerEvent, ReleaseState, Strategy, Variant
from everfit.records.table import Value


def follow(
    events: Sequence[LedgerEvent],
    kind: EventKind,
    version: int,
    at: datetime,
    by: str,
    reason: str,
    evidence: Mapping[str, Value] | None = None,
) -> LedgerEvent:
    """The event that comes after `events` (the last of them is enough), numbered and chained.

    A clock that went back does not put an event before its predecessor: it gets the predecessor's time. Raises
    ReleaseError for a time without a zone.

    >>> from datetime import UTC
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> first = follow([], EventKind.REGISTERED, 1, now, "ann", "passed its gates")
    >>> second = follow([first], EventKind.PROMOTED, 1, now, "ann", "no champion yet")
    >>> second.number, second.previous == digest(first)
    (2, True)
    """
    if at.tzinfo is None:
        raise ReleaseError("an event's time has no time zone", where="ledger", fix="pass a time in UTC")
    last = events[-1] if events else None
    return LedgerEvent(
        number=last.number + 1 if last else 1,
        kind=kind,
        version=version,
        at=max(at, last.at) if last else at,
        by=by,
        reason=reason,
        evidence=dict(evidence or {}),
        previous=digest(last) if last else "",
    )


def digest(event: LedgerEvent) -> str:
    """The SHA-256 of the event's one text form, which the next event carries as `previous`."""
    return hashlib.sha256(encode(event)).hexdigest()


def verify(events: Iterable[LedgerEvent], last: LedgerEvent | None = None) -> None:
    """Passes a whole ledger, from its first event or the one after `last`, whose numbers and hashes fit.

    Raises StorageError naming the first event that does not."""
    number, problem = broken(events, last)
    if problem:
        raise StorageError(
            f"event {number} does not follow: {problem}; the history was changed",
            where="ledger",
            fix="restore the state from a backup made before the change; `everfit history` shows the place",
        )


def broken(events: Iterable[LedgerEvent], last: LedgerEvent | None = None) -> tuple[int, str]:
    """The place of the first event, from 1, that does not follow the one before it, and why; 0 where all do. `last` is
    the event that those given come after."""
    previous, first = (digest(last), last.number + 1) if last else ("", 1)
    for number, event in enumerate(events, start=first):
        if event.number != number:
            return number, f"numbered {event.number} where {number} was expected"
        if event.previous != previous:
            return number, f"its `previous` is not the hash of event {number - 1}"
        previous = digest(event)
    return 0, ""


def fold(events: Iterable[LedgerEvent], state: ReleaseState | None = None) -> ReleaseState:
    """The state after the events; `state` is what earlier events were folded to, if only the newer ones are given.

    Raises ReleaseError naming the first event that its predecessors do not allow.

    >>> from datetime import UTC
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> history = [follow([], EventKind.REGISTERED, 1, now, "ann", "")]
    >>> history.append(follow(history, EventKind.PROMOTED, 1, now, "ann", "no champion yet"))
    >>> fold(history).champion
    1
    """
    current = state if state is not None else ReleaseState()
    for event in events:
        if event.number != current.number + 1:
            raise _unfit(event, f"event {current.number + 1} was expected")
        current = replace(_FOLDS[event.kind](current, event), number=event.number)
    return current


def champion_at(events: Sequence[LedgerEvent], time: datetime) -> int | None:
    """Who was champion at that time; None before the first one.

    The ledger's order is the truth: everything up to the last event at or before `time` counts."""
    until = max((index for index, event in enumerate(events, start=1) if event.at <= time), default=0)
    return fold(events[:until]).champion


def _unfit(event: LedgerEvent, why: str) -> ReleaseError:
    return ReleaseError(
        f"event {event.number} ({event.kind} version {event.version}) does not fit: {why}",
        where="ledger",
        fix="run `everfit history` to find who wrote it, and restore the state file from a backup",
    )


def _registered(state: ReleaseState, event: LedgerEvent) -> ReleaseState:
    # A run that resumes may say so again: the same bundle is the same version.
    if event.version in state.registered:
        return state
    authors = {**state.authors, event.version: event.by}
    return replace(state, latest=event.version, registered=(*state.registered, event.version), authors=authors)


def _known(state: ReleaseState, event: LedgerEvent) -> None:
    if event.version not in state.registered:
        raise _unfit(event, "the version was never registered")


def _gated(state: ReleaseState, event: LedgerEvent) -> ReleaseState:
    _known(state, event)
    return replace(state, gated=(*_without(state.gated, event.version), event.version))


def _tested(state: ReleaseState, event: LedgerEvent) -> ReleaseState:
    _known(state, event)
    return state


def _approved(state: ReleaseState, event: LedgerEvent) -> ReleaseState:
    _known(state, event)
    given = Approval(event.version, event.by, event.at, bool(event.evidence.get(PROVEN)))
    return replace(state, approvals=(*state.approvals, given))


def _staged(state: ReleaseState, event: LedgerEvent) -> ReleaseState:
    _known(state, event)
    return replace(_freed(state, event.version), staged=event.version, staged_since=event.at)


def _archived(state: ReleaseState, event: LedgerEvent) -> ReleaseState:
    _known(state, event)
    if event.version in state.in_use:
        raise _unfit(event, "it is in use")
    freed, earlier = _freed(state, event.version), _without(state.earlier, event.version)
    return replace(freed, archived=(*freed.archived, event.version), earlier=earlier)


def _freed(state: ReleaseState, version: int) -> ReleaseState:
    """Without what was said before about a version that nobody released."""
    staged, since = (None, None) if state.staged == version else (state.staged, state.staged_since)
    rejected, archived = _without(state.rejected, version), _without(state.archived, version)
    return replace(state, staged=staged, staged_since=since, rejected=rejected, archived=archived)


def _released(state: ReleaseState, event: LedgerEvent) -> ReleaseState:
    # Without steps the promotion follows at once; a writer killed in between leaves the champion where it was.
    steps = _steps(event)
    _known(state, event)
    if state.challenger is not None:
        raise _unfit(event, f"version {state.challenger} is under way")
    if event.version == state.champion:
        raise _unfit(event, "it is champion")
    if not steps:
        return state
    if state.champion is None:
        raise _unfit(event, "there is no champion to compare with")
    variants = _variants(event)
    for version in (event.version, *_versions(variants)):
        _known(state, replace(event, version=version))
        state = _freed(state, version)
    return replace(
        state,
        challenger=event.version,
        steps=steps,
        step=0,
        step_since=event.at,
        step_times=(event.at,),
        strategy=_strategy(event),
        names=_names(event),
        variants=variants,
    )


def _strategy(event: LedgerEvent) -> Strategy:
    try:
        return Strategy(str(event.evidence.get("strategy") or Strategy.CANARY))
    except ValueError as error:
        raise _unfit(event, str(error)) from error


def _names(event: LedgerEvent) -> tuple[str, str]:
    text = str(event.evidence.get("arms") or "champion,challenger")
    names = text.split(",")
    if len(names) < 2 or (len(names) > 2) != ("versions" in event.evidence):
        raise _unfit(event, f"its arms {text!r} are not those of its versions")
    return names[0], names[1]


def _variants(event: LedgerEvent) -> tuple[Variant, ...]:
    """The challengers of a test of more than two arms."""
    if "versions" not in event.evidence:
        return ()
    names, shares, versions = (str(event.evidence.get(key)).split(",") for key in ("arms", "shares", "versions"))
    try:
        parts = zip(names[1:], map(int, versions), map(float, shares), strict=True)
        found = tuple(Variant(name, version, share) for name, version, share in parts)
    except ValueError as error:
        raise _unfit(event, f"its arms are not to be read: {error}") from error
    if found[0].version != event.version or not 0 < sum(one.share for one in found) < 1:
        raise _unfit(event, "its arms are not those of its version")
    return found


def _steps(event: LedgerEvent) -> tuple[float, ...]:
    text = str(event.evidence.get("steps") or "")
    try:
        steps = tuple(float(part) for part in text.split(",") if part)
    except ValueError as error:
        raise _unfit(event, f"its steps {text!r} are not shares") from error
    # A release may begin with a step that answers nobody.
    rising = steps[1:] if steps[:1] == (0.0,) else steps
    if any(not low < high < 1 for low, high in zip((0.0, *rising), rising, strict=False)):
        raise _unfit(event, f"its steps {text!r} do not rise between 0 and 1")
    return steps


def _advanced(state: ReleaseState, event: LedgerEvent) -> ReleaseState:
    if event.version != state.challenger and event.version not in _versions(state.running):
        raise _unfit(event, "its canary is not under way")
    if state.variants:
        return _shared_anew(state, event)
    share = event.evidence.get("next_share")
    if isinstance(share, float) and 0 < share < 1:
        state = replace(state, steps=(*state.steps[: state.step + 1], share))
    if state.step + 1 >= len(state.steps):
        raise _unfit(event, "it was on the last step")
    times = (*state.step_times, event.at)
    return replace(state, step=state.step + 1, step_since=event.at, step_times=times)


def _promoted(state: ReleaseState, event: LedgerEvent) -> ReleaseState:
    _known(state, event)
    if state.challenger not in (None, event.version) and event.version not in _versions(state.running):
        raise _unfit(event, f"version {state.challenger} is under way")
    if event.version == state.champion:
        raise _unfit(event, "it is champion already")
    before = () if state.champion is None else (state.champion,)
    earlier = _without((*state.earlier, *before), event.version)
    return _crowned(_freed(state, event.version), event.version, event.at, earlier)


def _rolled_back(state: ReleaseState, event: LedgerEvent) -> ReleaseState:
    rejected = (*_without(state.rejected, event.version), event.version)
    state = replace(state, approvals=tuple(one for one in state.approvals if one.version != event.version))
    if state.variants:
        return _stopped(state, event)
    if state.challenger is not None:
        if event.version != state.challenger:
            raise _unfit(event, f"version {state.challenger} is under way")
        return _alone(replace(state, rejected=rejected, earlier=_without(state.earlier, event.version)))
    if event.version != state.champion or not state.earlier:
        raise _unfit(event, "there is nothing to go back from or to")
    *earlier, champion = state.earlier
    return _crowned(replace(state, rejected=rejected), champion, event.at, tuple(earlier))


def _stopped(state: ReleaseState, event: LedgerEvent) -> ReleaseState:
    """A test of several challengers without one of them, or without all."""
    running = _versions(state.running)
    if event.version not in running:
        raise _unfit(event, "it is no challenger of the test under way")
    gone = running if event.evidence.get(WHOLE) else (event.version,)
    kept = tuple(one for one in (*state.rejected, *state.earlier) if one not in gone)
    rejected = (*(one for one in state.rejected if one in kept), *gone)
    earlier = tuple(one for one in state.earlier if one in kept)
    variants = tuple(replace(one, stopped=one.stopped or one.version in gone) for one in state.variants)
    approvals = tuple(one for one in state.approvals if one.version not in gone)
    after = replace(state, rejected=rejected, earlier=earlier, variants=variants, approvals=approvals)
    if not after.running:
        return _alone(after)
    first = after.running[0]
    steps = (*first.earlier, first.share)
    return replace(after, challenger=first.version, steps=steps, names=(state.names[0], first.name))


def _shared_anew(state: ReleaseState, event: LedgerEvent) -> ReleaseState:
    """Several challengers with other shares of traffic."""
    try:
        shares = [float(part) for part in str(event.evidence.get("next_shares")).split(",")]
        pairs = list(zip(state.variants, shares, strict=True))
    except ValueError as error:
        raise _unfit(event, f"its shares are not to be read: {error}") from error
    if min(shares) < 0 or sum(shares) >= 1:
        raise _unfit(event, "its shares leave the champion nothing")
    before = state.control
    variants = tuple(replace(one, share=share, earlier=(*one.earlier, one.beside(before))) for one, share in pairs)
    first = next(one for one in variants if not one.stopped)
    return replace(
        state,
        variants=variants,
        steps=(*first.earlier, first.share),
        step=state.step + 1,
        step_since=event.at,
        step_times=(*state.step_times, event.at),
    )


def _versions(variants: tuple[Variant, ...]) -> tuple[int, ...]:
    return tuple(one.version for one in variants)


def _crowned(state: ReleaseState, champion: int, since: datetime, earlier: tuple[int, ...]) -> ReleaseState:
    return _alone(replace(state, champion=champion, champion_since=since, earlier=earlier))


def _alone(state: ReleaseState) -> ReleaseState:
    previous = state.earlier[-1] if state.earlier else None
    return replace(
        state,
        previous_champion=previous,
        challenger=None,
        steps=(),
        step=0,
        step_since=None,
        step_times=(),
        strategy=Strategy.CANARY,
        names=("champion", "challenger"),
        variants=(),
    )


def _without(versions: tuple[int, ...], version: int) -> tuple[int, ...]:
    return tuple(v for v in versions if v != version)


_FOLDS: Mapping[EventKind, Callable[[ReleaseState, LedgerEvent], ReleaseState]] = {
    EventKind.REGISTERED: _registered,
    EventKind.RELEASED: _released,
    EventKind.ADVANCED: _advanced,
    EventKind.PROMOTED: _promoted,
    EventKind.ROLLED_BACK: _rolled_back,
    EventKind.APPROVED: _approved,
    EventKind.GATED: _gated,
    EventKind.STAGED: _staged,
    EventKind.ARCHIVED: _archived,
    EventKind.TESTED: _tested,
}
