"""The shortest way from a body to an answer: one row or many, compiled models, no task and no framework.

What is out of the ordinary (a refusal, rows of several kinds, an error) is left to the usual way, which begins anew
with the same body: so there is one place where each of them is dealt with, and the answers cannot differ.
"""

from __future__ import annotations

import asyncio

import msgspec

from everfit.serving.body import may_be_many
from everfit.serving.commit import GroupCommit
from everfit.serving.many import FEW_BYTES, Many
from everfit.serving.predictor import Predictor, Ready, Scored
from everfit.serving.responding import Respond, Shape, fail, written
from everfit.serving.together import Together
from everfit.serving.turns import Turns

_decode = msgspec.json.Decoder().decode


class Quick:
    """Answers a body that is one row, in the form that `shape` gives it, or many rows, for compiled models. `turns` has
    the rows that may be answered together; None where each is answered by itself."""

    def __init__(
        self,
        predictor: Predictor,
        commit: GroupCommit,
        shape: Shape,
        many: Many,
        turns: Turns | None = None,
    ) -> None:
        self._predictor = predictor
        self._commit = commit
        self._shape = shape
        self._many = many
        self._turns = turns

    def answer(self, loop: asyncio.AbstractEventLoop, body: bytes, respond: Respond) -> bool:
        """Whether `respond` will be called, once the prediction is in the log; else nothing has happened."""
        if may_be_many(body):
            return self._answer_many(loop, body, respond)
        try:
            row = _decode(body)
            if row.__class__ is not dict:
                return False
            if self._turns is not None and self._turns.take(loop, row, respond):
                return True
            found = self._predictor.one(row)
        except Exception:  # noqa: BLE001  the usual way says what is wrong
            return False
        if found is None:
            return False
        self._commit.add(loop, found.records, self._written, found, respond)
        return True

    def _answer_many(self, loop: asyncio.AbstractEventLoop, body: bytes, respond: Respond) -> bool:
        found = self._many.scored(body) if len(body) <= FEW_BYTES else None
        if found is None:
            return False
        self._commit.add(loop, found.batches, self._written_many, found, respond)
        return True

    def _written(self, error: Exception | None, found: Ready | Scored, respond: Respond) -> None:
        written(self._predictor, self._shape, error, found, respond)

    def _written_many(self, error: Exception | None, found: Together, respond: Respond) -> None:
        if error is not None:
            self._predictor.metrics.unlogged(found.count)
            fail(self._predictor, error, respond)
            return
        try:
            found.settle()
            body = self._many.body(found)
        except Exception as raised:  # noqa: BLE001  the caller is told, and the others of the group go on
            fail(self._predictor, raised, respond)
        else:
            respond(body, None)
