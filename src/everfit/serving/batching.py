"""Requests of the moment as one batch, for models whose cost is in the call and not in the row.

Nothing waits for a batch to fill: requests that come while every processor computes are taken together by the first
that is free. So an idle server answers a request at once, and a busy one makes batches as large as it is busy.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from everfit.records.prediction import Prediction
from everfit.serving.predictor import Scored
from everfit.serving.rows import RawRow

# The rows of all that is taken together, at most; a request of more than a few is work enough for a call of its own.
MOST_ROWS = 1_000
FEW_ROWS = 16

Rows = Sequence[RawRow]
Answer = Callable[[Rows], Awaitable[list[Prediction]]]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A request's rows, and where its predictions go."""

    rows: Rows
    done: asyncio.Future[list[Prediction]]

    def give(self, predictions: list[Prediction]) -> None:
        if not self.done.done():
            self.done.set_result(predictions)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Batching:
    """For one event loop. `score` scores rows away from the loop, `finish` logs what was scored and makes predictions
    of it, and `alone` does both for one request. At most `most` batches are computed at a time; by default as many as
    there are processors."""

    def __init__(
        self,
        score: Callable[[Rows], Awaitable[Scored]],
        finish: Callable[[Scored], Awaitable[list[Prediction]]],
        alone: Answer,
        most: int | None = None,
    ) -> None:
        self._score = score
        self._finish = finish
        self._alone = alone
        self._most = most or os.cpu_count() or 1
        self._queue: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def predict(self, rows: Rows) -> list[Prediction]:
        """The rows' predictions, by themselves or together with those of other requests. Raises what `alone` raises."""
        waiting = _Waiting(rows, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._take()
        return await waiting.done

    def _take(self) -> None:
        while self._queue and len(self._running) < self._most:
            task = asyncio.ensure_future(self._answer(self._next()))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._take()

    def _next(self) -> list[_Waiting]:
        """The oldest requests, as many as fit into a batch."""
        batch = [self._queue.popleft()]
        rows = len(batch[0].rows)
        while self._queue and rows + len(self._queue[0].rows) <= MOST_ROWS:
            rows += len(self._queue[0].rows)
            batch.append(self._queue.popleft())
        return batch

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        batch = [one for one in batch if not one.done.cancelled()]  # whose caller hung up
        scored = await self._together(batch) if len(batch) > 1 else None
        if scored is None:
            await asyncio.gather(*(self._by_itself(one) for one in batch))
            return
        try:
            predictions = await self._finish(scored)
        except Exception as error:  # noqa: BLE001  it belongs to the requests, not to the loop
            for one in batch:
                one.fail(error)
            return
        for one in batch:
            count = len(one.rows)
            one.give(predictions[:count])
            predictions = predictions[count:]

    async def _together(self, batch: Sequence[_Waiting]) -> Scored | None:
        """All rows in one call; None where any of it went wrong: who did it is found one by one, and nobody else is
        refused for it, nor does an arm fail on rows that it can answer."""
        try:
            scored = await self._score([row for one in batch for row in one.rows])
        except Exception:  # noqa: BLE001  whatever it is, it is met again by who it belongs to
            return None
        return None if any(attempt.error is not None for attempt in scored.attempts) else scored

    async def _by_itself(self, one: _Waiting) -> None:
        try:
            one.give(await self._alone(one.rows))
        except Exception as error:  # noqa: BLE001  as above
            one.fail(error)
