"""The registry shows who is in production; the ledger is the truth. Moves made in the registry by hand are found.

Before the registry is told, an intent is appended, and afterwards that it is done: whoever reads the registry can then
tell a hand's move from one that is under way, and of two who tell at the same time the second leaves it to the first,
which looks at the ledger once more when it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from everfit.errors import Conflict
from everfit.flow import ledger
from everfit.ports import Progress, Registry, StateStore
from everfit.records.codec import decode, encode
from everfit.records.release import ReleaseState

STREAM = "mirror"
_LEASE = timedelta(seconds=60)  # after which an intent counts as left behind by a process that was killed
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What the registry was to show after the ledger's event `number`, and whether it was told."""

    number: int
    aliases: Mapping[str, int]
    at: datetime
    done: bool = False
    given_up: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """An alias that is not where it was put: at `version`, or gone. `told` is the number of the record that put it."""

    alias: str
    version: int | None
    expected: int | None
    told: int

    def __str__(self) -> str:
        was = "was not set" if self.expected is None else f"was at version {self.expected}"
        now = "removed" if self.version is None else f"moved to version {self.version}"
        return f"the alias {self.alias} {was} and was {now} by hand in the registry"


def aliases(now: ReleaseState) -> dict[str, int]:
    """Who is in production, who is on trial or waits for approval, and who was taken out last."""
    staging = now.challenger if now.challenger is not None else now.staged
    archived = now.previous_champion if now.previous_champion is not None else next(reversed(now.archived), None)
    found = {"production": now.champion, "staging": staging, "archived": archived}
    return {alias: version for alias, version in found.items() if version is not None}


def stages(now: ReleaseState) -> dict[int, str]:
    """The stage of every version that has one: several may be archived, where an alias knows one."""
    out = dict.fromkeys((*now.earlier, *now.rejected, *now.archived), "archived")
    return out | {version: alias for alias, version in aliases(now).items() if alias != "archived"}


def tell(state: StateStore, registry: Registry, progress: Progress) -> None:
    """Tells the registry, if it does not show it already. A registry that cannot be told is said to `progress`, and
    hears it with the next change or the next reconciliation."""
    try:
        for _ in range(_TRIES):
            if _told(state, registry):
                return
    except Exception as error:  # noqa: BLE001  a registry raises its own errors, and none may undo a release
        progress.note(f"the registry does not know of this yet: {type(error).__name__}: {error}")


def moves(state: StateStore, registry: Registry) -> tuple[Move, ...]:
    """What was moved by hand since the registry was last told."""
    before = _last(state)
    if before is None or not before[1].done:
        return ()
    shown, after = registry.aliases(), _last(state)
    if after is None or after[0] != before[0]:
        return ()  # told meanwhile: what was read may be from before or from after
    number, told = before
    names = sorted(shown.keys() | told.aliases.keys())
    return tuple(
        Move(name, shown.get(name), told.aliases.get(name), number)
        for name in names
        if shown.get(name) != told.aliases.get(name)
    )


def missing(now: ReleaseState, registry: Registry) -> tuple[int, ...]:
    """Versions that are in use, or wait to be, and were deleted in the registry."""
    there = {made.version for made in registry.versions()}
    return tuple(version for version in (*now.in_use, *filter(None, [now.staged])) if version not in there)


def _told(state: StateStore, registry: Registry) -> bool:
    """One attempt; false when the ledger has moved on meanwhile."""
    now, last = ledger.current(state), _last(state)
    count = last[0] if last else 0
    if last is not None and _under_way(last[1]):
        return True
    if last is not None and last[1].done and last[1].number == now.number and registry.aliases() == aliases(now):
        return True
    intent = Mirrored(now.number, aliases(now), datetime.now(UTC))
    try:
        count = state.append(STREAM, encode(intent), expect=count)
    except Conflict:
        return False
    try:
        registry.mirror(intent.aliases, stages(now))
    except BaseException:
        state.append(STREAM, encode(replace(intent, given_up=True)))
        raise
    state.append(STREAM, encode(replace(intent, done=True)))
    return ledger.current(state).number == now.number


def _under_way(last: Mirrored) -> bool:
    return not (last.done or last.given_up) and datetime.now(UTC) < last.at + _LEASE


def _last(state: StateStore) -> tuple[int, Mirrored] | None:
    found = state.last(STREAM)
    return None if found is None else (found[0], decode(Mirrored, found[1], where=f"mirror record {found[0]}"))
