"""The ledger between the state store and the pure functions of `rollout`: read, fold, append by compare-and-set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from everfit.errors import Conflict
from everfit.ports import StateStore
from everfit.records.codec import decode, encode
from everfit.records.model import EXAMPLE_SCORE, GateReport, ModelVersion
from everfit.records.release import EventKind, LedgerEvent, ReleaseState
from everfit.records.table import Value
from everfit.rollout import ledger
from everfit.rollout.strategy import Draft

STREAM = "ledger"


def events(state: StateStore) -> list[LedgerEvent]:
    """The whole history, its chain verified. StorageError when it was changed."""
    history = unverified(state)
    ledger.verify(history)
    return history


def unverified(state: StateStore) -> list[LedgerEvent]:
    """The history as it stands, for whoever looks for what is wrong with it."""
    return _decoded(state.read(STREAM))


def current(state: StateStore) -> ReleaseState:
    """Who is champion, who is challenger, at which step."""
    return ledger.fold(events(state))


def commit(
    state: StateStore, decide: Callable[[ReleaseState], Sequence[Draft]], by: str, now: datetime | None = None
) -> ReleaseState:
    """Appends what `decide` makes of the state as it is, and returns the state after it.

    Every append expects the history that the decision was made on: whoever was slower gets Conflict, and nothing of
    its decision is written after the loss, and it is told who was first."""
    history = events(state)
    before = ledger.fold(history)
    for draft in decide(before):
        event = ledger.follow(
            history, draft.kind, draft.version, now or datetime.now(UTC), by, draft.reason, draft.evidence
        )
        try:
            state.append(STREAM, encode(event), expect=len(history))
        except Conflict as error:
            raise _second(state, len(history)) from error
        history.append(event)
    return ledger.fold(history)


def commit_on(
    state: StateStore, before: ReleaseState, drafts: Sequence[Draft], by: str, now: datetime
) -> tuple[ReleaseState, bool]:
    """Appends the drafts if the state is still the one that they were decided on; the state after it, and whether it
    was. Raises Conflict like `commit`."""
    is_same = True

    def decide(current: ReleaseState) -> Sequence[Draft]:
        nonlocal is_same
        is_same = current == before
        return drafts if is_same else ()

    after = commit(state, decide, by, now)
    return after, is_same


def _second(state: StateStore, known: int) -> Conflict:
    """What somebody is told who decided on `known` events when there were more."""
    first = events(state)[known]
    who = f"{first.by}: event {first.number}, version {first.version} {first.kind.replace('_', ' ')}"
    return Conflict(
        f"somebody else changed the release at the same time, and was first: {who} at {first.at:%H:%M:%S} UTC",
        where="ledger",
        fix="look at `everfit history`, then decide again",
    )


@dataclass(slots=True)
class Followed:
    """A ledger that is read again and again: each time only what is new is read, verified and folded."""

    release: ReleaseState = field(default_factory=ReleaseState)
    versions: dict[int, ModelVersion] = field(default_factory=dict)
    last: LedgerEvent | None = None

    def read(self, state: StateStore) -> None:
        """Brings `release` and `versions` up to the store. A history that does not go on where this one was is read
        from its start, since it is another one. Raises StorageError when that was changed."""
        new = _decoded(state.read(STREAM, self.release.number))
        if ledger.broken(new, self.last)[0] and self.last is not None:
            self.release, self.versions, self.last = ReleaseState(), {}, None
            new = unverified(state)
        ledger.verify(new, self.last)
        self.release = ledger.fold(new, self.release)
        self.versions |= _registered(new)
        self.last = new[-1] if new else self.last


def register(
    state: StateStore, made: ModelVersion, by: str, at: datetime | None = None, gates: GateReport | None = None
) -> None:
    """Writes down that the version exists, and by which gates. Registrations do not depend on each other, so a lost
    race is run again, and what is there already is not written twice."""
    evidence: dict[str, Value] = {"bundle": made.bundle_hash, "run": made.run_id, "name": made.name, **made.metrics}
    if EXAMPLE_SCORE in made.tags:
        evidence[EXAMPLE_SCORE] = made.tags[EXAMPLE_SCORE]
    registered = Draft(EventKind.REGISTERED, made.version, "passed every gate", evidence)
    gated = _gated(made.version, gates) if gates else ()

    def drafts(now: ReleaseState) -> Sequence[Draft]:
        new = () if made.version in now.registered else (registered,)
        return (*new, *(() if made.version in now.gated else gated))

    while True:
        try:
            commit(state, drafts, by, at)
        except Conflict:
            continue
        return


def _gated(version: int, gates: GateReport) -> tuple[Draft, ...]:
    figures: dict[str, Value] = {}
    for result in gates.results:
        figures |= {result.gate: result.observed, f"{result.gate}_required": result.required}
    names = ", ".join(result.gate for result in gates.results)
    return (Draft(EventKind.GATED, version, f"passed {names}", figures),)


def versions(state: StateStore) -> dict[int, ModelVersion]:
    """Every registered version by its number, oldest first."""
    return _registered(events(state))


def champion(state: StateStore) -> ModelVersion | None:
    """The version that answers now."""
    number = current(state).champion
    return None if number is None else versions(state)[number]


def _decoded(documents: Sequence[tuple[int, bytes]]) -> list[LedgerEvent]:
    return [decode(LedgerEvent, text, where=f"ledger event {number}") for number, text in documents]


def _registered(history: Sequence[LedgerEvent]) -> dict[int, ModelVersion]:
    return {event.version: _version(event) for event in history if event.kind is EventKind.REGISTERED}


def _version(event: LedgerEvent) -> ModelVersion:
    evidence = dict(event.evidence)
    bundle, run, name = (str(evidence.pop(key)) for key in ("bundle", "run", "name"))
    metrics = {key: float(value) for key, value in evidence.items() if isinstance(value, int | float)}
    tags = {key: value for key, value in evidence.items() if isinstance(value, str)}
    return ModelVersion(name, event.version, bundle, run, event.at, metrics, tags)
