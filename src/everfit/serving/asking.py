"""The rows of a request as they are asked about: with an id, masked, looked up where they hold the entity alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from everfit.errors import RequestError, UnknownEntity
from everfit.ports import OnlineStore
from everfit.serving.identity import new_ids
from everfit.serving.model import Model
from everfit.serving.rows import RawRow

Mask = Callable[[RawRow], RawRow]


def unmasked(row: RawRow) -> RawRow:
    """For a project without personal columns."""
    return row


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One row of a request: its place there, the id of its prediction, whom it is about (as the caller says it, and as
    it may be kept), and the row itself, masked. One that was `stored` may hold columns that came after a model."""

    place: int
    id: str
    entity: str | None
    key: str | None
    row: RawRow
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """What a row goes through before a model sees it; `online` holds the rows of entities, None keeps none."""

    online: OnlineStore | None
    mask: Mask

    def asks(self, rows: Sequence[RawRow], champion: Model, now: datetime) -> list[Ask]:
        """A request's rows in their order. Raises RequestError for an entity that is no single value or has no row."""
        ids = new_ids(now, len(rows))
        return [self.ask(place, row, champion, ids[place]) for place, row in enumerate(rows)]

    def ask(self, place: int, row: RawRow, champion: Model, identity: str) -> Ask:
        """One of them. Raises the same."""
        entity, key, masked, stored = self.whom(row, champion)
        return Ask(place, identity, entity, key, masked, stored)

    def whom(self, row: RawRow, champion: Model) -> tuple[str | None, str | None, RawRow, bool]:
        """What `Ask` has of a row: entity, key, the row, whether it was stored. Raises the same."""
        masked = self.mask(row)
        key = champion.entity(masked)
        entity = key if masked is row else champion.entity(row)
        if key is None or len(row) > 1:
            return entity, key, masked, False
        return entity, key, self._stored(champion.manifest.entity or "", key), True

    def _stored(self, column: str, key: str) -> RawRow:
        if self.online is None:
            raise RequestError(
                f"the row holds {column} alone, and this server keeps no rows to look it up in",
                where=column,
                fix="send the whole row",
            )
        row = self.online.get(key)
        if row is None:
            raise UnknownEntity(
                f"no row is stored for {column} {key[:80]!r}",
                where=column,
                fix="send the whole row, or load the entity's row first",
            )
        return row
