"""Rows of many requests at once to predictions, each in the log before its request is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.concurrency import run_in_threadpool

from everfit.records.prediction import Prediction
from everfit.serving import batching
from everfit.serving.batching import Batching
from everfit.serving.commit import GroupCommit
from everfit.serving.predictor import Predictor, Scored
from everfit.serving.rows import RawRow
from everfit.serving.sent import Sent
from everfit.serving.together import Together

# What a compiled model answers in less time than handing the work to a thread and back takes.
FEW_ROWS = 100


class Answering:
    """A predictor for an event loop: compiled models answer few rows at once, all others in threads, and there, with
    `batches`, requests of the moment together."""

    def __init__(self, predictor: Predictor, commit: GroupCommit, batches: bool = True) -> None:
        self.predictor = predictor
        self._commit = commit
        self._batching = Batching(self._tried, self._finished, self._alone) if batches else None

    async def predict(self, rows: Sequence[RawRow]) -> list[Prediction]:
        """As `Predictor.predict`."""
        if len(rows) > 1 and self.predictor.snapshot.json is not None:
            found = await self.together(lambda: self._by_column(rows), few=len(rows) <= FEW_ROWS)
            if found is not None:
                return found.predictions()
        if self.predictor.snapshot.is_quick:
            if len(rows) <= FEW_ROWS:
                return await self._finished(self.predictor.score(rows))
        elif self._batching is not None and len(rows) <= batching.FEW_ROWS:
            return await self._batching.predict(rows)
        return await self._alone(rows)

    def _by_column(self, rows: Sequence[RawRow]) -> Together | None:
        sent = Sent.of(rows)
        return self.predictor.together(sent) if sent is not None else None

    async def together(self, score: Callable[[], Together | None], few: bool) -> Together | None:
        """As `predict`, of what `score` gives, in a thread unless there are few rows; None where that gives none."""
        found = score() if few else await run_in_threadpool(score)
        if found is None:
            return None
        try:
            await self._commit.append(found.batches)
        except Exception:
            self.predictor.metrics.unlogged(found.count)
            raise
        found.settle()
        return found

    async def _tried(self, rows: Sequence[RawRow]) -> Scored:
        return await run_in_threadpool(self.predictor.tried, rows)

    async def _alone(self, rows: Sequence[RawRow]) -> list[Prediction]:
        return await self._finished(await run_in_threadpool(self.predictor.score, rows))

    async def _finished(self, scored: Scored) -> list[Prediction]:
        predictor = self.predictor
        try:
            await self._commit.append(scored.records)
        except Exception:
            predictor.metrics.unlogged(len(scored.records))
            raise
        return predictor.settle(scored)
