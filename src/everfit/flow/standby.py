"""What a machine keeps to answer by while the state store is away: the release as it last saw it, and an order to go
back that was given meanwhile.

Both are small files beside the prediction log. The order is an event that could not be appended: it is obeyed on this
machine at once, and entered into the ledger as soon as the store is back.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from everfit import atomic
from everfit.errors import ReleaseError, StorageError
from everfit.flow import ledger
from everfit.ports import StateStore
from everfit.records.codec import decode, encode
from everfit.records.model import ModelVersion
from everfit.records.release import LedgerEvent, ReleaseState
from everfit.rollout import ledger as rules
from everfit.rollout import strategy
from everfit.rollout.strategy import Draft


@dataclass(frozen=True, slots=True)
class Saved:
    """The release after the ledger's event `release.number`, and the versions in use."""

    release: ReleaseState
    versions: tuple[ModelVersion, ...]

    @property
    def known(self) -> Mapping[int, ModelVersion]:
        """The versions by their numbers."""
        return {made.version: made for made in self.versions}


@dataclass(frozen=True)
class Standby:
    """The two files in a folder of this machine. Raises StorageError when the disk refuses."""

    folder: Path

    def save(self, release: ReleaseState, versions: Mapping[int, ModelVersion]) -> None:
        """Remembers the release, unless a newer one is remembered already."""
        before = self.saved()
        if before is None or before.release.number < release.number:
            used = tuple(versions[number] for number in release.in_use)
            atomic.write(self.remembered, encode(Saved(release, used)), durable=True)

    def saved(self) -> Saved | None:
        """The release as it was last seen here; None before the first time, and where the file is damaged."""
        with suppress(FileNotFoundError, StorageError):
            return decode(Saved, self.remembered.read_bytes(), where=str(self.remembered))
        return None

    def order(self) -> LedgerEvent | None:
        """The order in force, if there is one."""
        try:
            return decode(LedgerEvent, self._order.read_bytes(), where=str(self._order))
        except FileNotFoundError:
            return None

    def give(self, by: str, reason: str, at: datetime) -> ReleaseState:
        """Orders this machine to go back, and returns the release as it is here from now on.

        Raises ReleaseError where there is nothing to go back to, and where an order is in force."""
        if self.order() is not None:
            raise ReleaseError(
                "an emergency rollback is in force on this machine already",
                where=str(self._order),
                fix="mend the state store: the order is then entered into the ledger, and you can decide again",
            )
        saved = self.saved()
        if saved is None:
            raise ReleaseError(
                "the state store is away, and nothing was ever served on this machine to go back from",
                where=str(self.remembered),
                fix="run it on the machine that serves, or mend the state store",
            )
        (draft,) = strategy.roll_back(saved.release, reason)
        event = _event(saved.release, draft, at, by)
        atomic.write(self._order, encode(event), durable=True)
        return rules.fold([event], saved.release)

    def release(self) -> Saved | None:
        """What is to be served here while the store is away: the release last seen, after the order in force."""
        saved, order = self.saved(), self.order()
        if saved is None or order is None:
            return saved
        _, after = _owed(saved.release, order)
        # The ledger's own number: the order is no event of it yet.
        return replace(saved, release=replace(after, number=saved.release.number))

    def reconcile(self, state: StateStore, now: datetime | None = None) -> bool:
        """Enters the order into the ledger, if one is in force; true when there was one. A version that is not in use
        any more needs no rollback: the order is then over. Raises Conflict when somebody else was first."""
        order = self.order()
        if order is None:
            return False
        ledger.commit(state, lambda seen: _owed(seen, order)[0], order.by, now)
        self._order.unlink(missing_ok=True)
        return True

    @property
    def remembered(self) -> Path:
        """The file that holds the release as it was last seen here."""
        return self.folder / "release.json"

    @property
    def _order(self) -> Path:
        return self.folder / "emergency.json"


def _owed(seen: ReleaseState, order: LedgerEvent) -> tuple[tuple[Draft, ...], ReleaseState]:
    """What the order still asks of a release, and the release after that. A champion can go only when no canary is
    under way, so that one goes first; or wins, where it is what the order goes back to."""
    evidence = {**order.evidence, "emergency": True, "ordered_at": order.at.isoformat()}
    drafts: list[Draft] = []
    while order.version == seen.challenger or (order.version == seen.champion and seen.earlier):
        (draft,) = strategy.roll_back(seen, order.reason)
        if seen.challenger is not None and seen.challenger == order.evidence.get("back_to"):
            (draft,) = strategy.promote(seen, seen.challenger, order.reason)
        drafts.append(replace(draft, evidence={**evidence, **draft.evidence}))
        seen = rules.fold([_event(seen, draft, order.at, order.by)], seen)
    return tuple(drafts), seen


def _event(release: ReleaseState, draft: Draft, at: datetime, by: str) -> LedgerEvent:
    return LedgerEvent(release.number + 1, draft.kind, draft.version, at, by, draft.reason, draft.evidence)
