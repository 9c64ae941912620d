"""The shortest way from a body to an answer: one row, compiled models, no task and no framework.

What is out of the ordinary (a refusal, several rows, an error) is left to the usual way, which begins anew
with the same body: so there is one place where each of them is dealt with, and the answers cannot differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from everfit.records.prediction import Logged, Prediction
from everfit.serving.commit import GroupCommit
from everfit.serving.predictor import Predictor, Ready, Scored
from everfit.serving.rows import RawRow
from everfit.serving.turn import Answered, Turn

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
# The body of an answer of status 200, or why there is none.
Respond = Callable[[bytes | None, Exception | None], None]


class Quick:
    """Answers a body that is one row for compiled models; `shape` gives an answer its form. `alone` says that an answer
    shows its features, so that each row needs its own."""

    def __init__(
        self, predictor: Predictor, commit: GroupCommit, shape: Callable[[Prediction], Any], alone: bool = False
    ) -> None:
        self._predictor = predictor
        self._commit = commit
        self._shape = shape
        self._is_alone = alone
        self._gathering: _Gathering | None = None

    def answer(self, loop: asyncio.AbstractEventLoop, body: bytes, respond: Respond) -> bool:
        """Whether `respond` will be called, once the prediction is in the log; else nothing has happened."""
        try:
            row = _decode(body)
            if row.__class__ is not dict:
                return False
            gathering = self._gathering or self._begun(loop)
            if gathering is not None:
                gathering.turn.take(row)
                gathering.callers.append((row, respond))
                return True
            found = self._predictor.one(row)
        except Exception:  # noqa: BLE001  the usual way says what is wrong
            return False
        if found is None:
            return False
        self._commit.add(loop, found.records, self._written, found, respond)
        return True

    def _begun(self, loop: asyncio.AbstractEventLoop) -> _Gathering | None:
        turn = None if self._is_alone else self._predictor.turn()
        if turn is not None:
            made = self._gathering = _Gathering(turn, loop)
            self._commit.add(loop, lambda: self._scored(made), self._all_written, made)
        return self._gathering

    def _scored(self, gathering: _Gathering) -> Sequence[Logged]:
        self._gathering = None
        if not gathering.callers:
            return ()
        try:
            gathering.answered = gathering.turn.answered()
        except Exception:  # noqa: BLE001  it is met again by the row that it belongs to
            return ()
        return gathering.answered.records

    def _all_written(self, error: Exception | None, gathering: _Gathering) -> None:
        answered, callers = gathering.answered, gathering.callers
        if answered is None:
            for row, respond in callers:
                self._by_itself(gathering.loop, row, respond)
        elif error is not None:
            self._predictor.metrics.unlogged(len(callers))
            for _, respond in callers:
                self._refuse(error, respond)
        else:
            predictions = answered.settle(self._predictor.metrics)
            for (_, respond), prediction in zip(callers, predictions, strict=True):
                respond(_encode(self._shape(prediction)), None)

    def _by_itself(self, loop: asyncio.AbstractEventLoop, row: RawRow, respond: Respond) -> None:
        """A row that the model may fail on: what it raises is recorded, and told to the caller."""
        try:
            scored = self._predictor.score([row])
        except Exception as error:  # noqa: BLE001  the caller is told
            self._refuse(error, respond)
        else:
            self._commit.add(loop, scored.records, self._written, scored, respond)

    def _written(self, error: Exception | None, found: Ready | Scored, respond: Respond) -> None:
        if error is None:
            try:
                body = _encode(self._shape(found.settled(self._predictor)))
            except Exception as raised:  # noqa: BLE001  the caller is told
                error = raised
            else:
                respond(body, None)
                return
        else:
            self._predictor.metrics.unlogged(len(found.records))
        self._refuse(error, respond)

    def _refuse(self, error: Exception, respond: Respond) -> None:
        self._predictor.metrics.failed(str(getattr(error, "status", 500)))
        respond(None, error)


class _Gathering:
    """The rows of a turn of the loop, and who asked."""

    def __init__(self, turn: Turn, loop: asyncio.AbstractEventLoop) -> None:
        self.turn = turn
        self.loop = loop
        self.callers: list[tuple[RawRow, Respond]] = []
        self.answered: Answered | None = None
