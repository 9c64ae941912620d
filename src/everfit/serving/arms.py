"""The arms at work: each row of a request to the arm that its key is routed to, and to the champion when that fails."""

from __future__ import annotations

import logging
import os
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from everfit.errors import EverfitError, NotReady, RequestError, StepFailed
from everfit.records.release import Arm, RouteTable
from everfit.rollout.routing import route
from everfit.serving.model import Answer, Model
from everfit.serving.rows import RawRow

_logger = logging.getLogger("everfit.serving")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Who answers, and with what: every version of the table has its model. `created` says when a model was made."""

    table: RouteTable
    models: Mapping[int, Model]
    created: Mapping[int, datetime] = field(default_factory=dict)

    @property
    def is_quick(self) -> bool:
        """Whether every model answers a row in microseconds."""
        return all(model.compiled is not None for model in self.models.values())

    @property
    def champion(self) -> Model:
        """The model of the first arm. Raises NotReady for an empty table."""
        if not self.table.arms:
            raise NotReady("no model is released yet", fix="run `everfit release`")
        return self.models[self.table.arms[0].version]


@dataclass(frozen=True, slots=True)
class Ask:
    """One row of a request: its place there, the id of its prediction, whom it is about (as the caller says it, and as
    it may be kept), and the row itself, masked. One that was `stored` may hold columns that came after a model."""

    place: int
    id: str
    entity: str | None
    key: str | None
    row: RawRow
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an arm made of the rows that were routed to it, in so many seconds: an answer a row, or the exception."""

    arm: Arm
    asks: Sequence[Ask]
    answers: Sequence[Answer]
    error: Exception | None
    seconds: float


def attempts(snapshot: Snapshot, asks: Sequence[Ask]) -> list[Attempt]:
    """Every arm on its rows, each in one batch; the champion, last, also on the rows of a challenger that failed.

    When the champion failed, nothing will be answered and only the failures are returned. Raises RequestError when
    the champion refuses a row: that is the caller's mistake and no fact about an arm.
    """
    champion = snapshot.table.arms[0]
    routed: dict[Arm, list[Ask]] = {champion: []}
    for ask in asks:
        routed.setdefault(route(snapshot.table, ask.key or ask.id), []).append(ask)
    left = routed.pop(champion)
    done = [attempt(snapshot, arm, members) for arm, members in routed.items()]
    left += [ask for tried in done if tried.error is not None for ask in tried.asks]
    if left:
        done.append(attempt(snapshot, champion, left))
    last = done[-1]
    if last.arm != champion or last.error is None:
        return done
    if isinstance(last.error, RequestError):
        raise last.error
    return [tried for tried in done if tried.error is not None]


def attempt(snapshot: Snapshot, arm: Arm, asks: Sequence[Ask]) -> Attempt:
    """One arm on these rows, whatever comes of it."""
    started = time.perf_counter()
    answers: Sequence[Answer] = ()
    failure: Exception | None = None
    try:
        model = snapshot.models[arm.version]
        answers = model.answer([model.known(ask.row) if ask.stored else ask.row for ask in asks])
    except Exception as error:
        failure = error
        if not isinstance(error, RequestError):
            # A broken challenger may fail a thousand times a second: its traceback is for those who ask for it.
            trace = arm == snapshot.table.arms[0] or _logger.isEnabledFor(logging.DEBUG)
            text = "%s (version %d) failed on %d rows: %s: %s"
            _logger.warning(
                text, arm.name, arm.version, len(asks), type(error).__name__, error, exc_info=error if trace else None
            )
    return Attempt(arm, asks, answers, failure, time.perf_counter() - started)


def failure(attempt: Attempt, model: str) -> EverfitError:
    """What a caller is told when the champion failed."""
    if isinstance(attempt.error, EverfitError):
        return attempt.error
    told = StepFailed(
        "the model could not score the rows",
        where=f"{model} version {attempt.arm.version}",
        fix="the prediction log holds the reason; `everfit rollback` returns to the version before",
    )
    told.__cause__ = attempt.error
    return told


def new_id(moment: datetime) -> str:
    """A UUID of version 7 (RFC 9562, 5.7): ids sort by time, which keeps an index of them compact. They cannot be
    guessed: who knows one may label its prediction.

    >>> new_id(datetime.fromisoformat("2026-11-03T10:00:00+00:00"))[:15]
    '01a1a0d9-f100-7'
    """
    try:
        random = _random.pop()
    except IndexError:
        _refill()
        random = _random.pop()
    digits = f"{int(moment.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-{random}"


def made_at(identity: str) -> datetime | None:
    """When an id was made, to the millisecond; None for one that was not made by `new_id`.

    >>> made_at(new_id(datetime.fromisoformat("2026-11-03T10:00:00.5+00:00"))).isoformat()
    '2026-11-03T10:00:00.500000+00:00'
    >>> made_at("order-7")
    """
    if _ID.fullmatch(identity) is None:
        return None
    return datetime.fromtimestamp(int(identity[:8] + identity[9:13], 16) / 1000, UTC)


# The random parts of the next ids: asking the system for each takes longer than a prediction.
_random: list[str] = []
_REFILL = 512


def _refill() -> None:
    text = secrets.token_hex(10 * _REFILL)
    parts = [text[i : i + 20] for i in range(0, len(text), 20)]
    _random.extend(f"7{part[:3]}-{'89ab'[int(part[3], 16) & 3]}{part[4:7]}-{part[7:19]}" for part in parts)


# A fork must not give out its parent's ids.
os.register_at_fork(after_in_child=_random.clear)
