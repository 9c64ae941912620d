"""Requests of one row that one turn of the event loop reads, answered together: scored at once, one line in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from everfit.records.prediction import Logged
from everfit.serving.commit import GroupCommit
from everfit.serving.predictor import Predictor
from everfit.serving.responding import Respond, Shape, encode, fail, written
from everfit.serving.rows import RawRow
from everfit.serving.turn import Answered, Turn


class Turns:
    """For one event loop. The rows that are taken are scored when their group is written to the log."""

    def __init__(self, predictor: Predictor, commit: GroupCommit, shape: Shape) -> None:
        self._predictor = predictor
        self._commit = commit
        self._shape = shape
        self._open: _Open | None = None

    def take(self, loop: asyncio.AbstractEventLoop, row: RawRow, respond: Respond) -> bool:
        """Whether `respond` will be called; not where each row has to be answered by itself. Raises what `Turn.take`
        raises, and then nothing has happened."""
        gathered = self._open or self._begun(loop)
        if gathered is None:
            return False
        gathered.turn.take(row)
        gathered.callers.append((row, respond))
        return True

    def _begun(self, loop: asyncio.AbstractEventLoop) -> _Open | None:
        turn = self._predictor.turn()
        if turn is not None:
            made = self._open = _Open(turn, loop)
            self._commit.add(loop, lambda: self._scored(made), self._written, made)
        return self._open

    def _scored(self, gathered: _Open) -> Sequence[Logged]:
        self._open = None
        if not gathered.callers:
            return ()
        try:
            gathered.answered = gathered.turn.answered()
        except Exception:  # noqa: BLE001  it is met again by the row that it belongs to
            return ()
        return gathered.answered.records

    def _written(self, error: Exception | None, gathered: _Open) -> None:
        answered, callers = gathered.answered, gathered.callers
        if answered is None:
            for row, respond in callers:
                self._by_itself(gathered.loop, row, respond)
        elif error is not None:
            self._predictor.metrics.unlogged(len(callers))
            for _, respond in callers:
                fail(self._predictor, error, respond)
        else:
            predictions = answered.settle(self._predictor.metrics)
            for (_, respond), prediction in zip(callers, predictions, strict=True):
                respond(encode(self._shape(prediction)), None)

    def _by_itself(self, loop: asyncio.AbstractEventLoop, row: RawRow, respond: Respond) -> None:
        """A row that the model may fail on: what it raises is recorded, and told to the caller."""
        try:
            scored = self._predictor.score([row])
        except Exception as error:  # noqa: BLE001  the caller is told
            fail(self._predictor, error, respond)
        else:
            self._commit.add(
                loop, scored.records, lambda error: written(self._predictor, self._shape, error, scored, respond)
            )


class _Open:
    """The rows of a turn that is not over, and who asked."""

    def __init__(self, turn: Turn, loop: asyncio.AbstractEventLoop) -> None:
        self.turn = turn
        self.loop = loop
        self.callers: list[tuple[RawRow, Respond]] = []
        self.answered: Answered | None = None
