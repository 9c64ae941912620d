"""Rows of many requests at once to predictions, each in the log before its request is answered."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from everfit.records.prediction import Prediction
from everfit.serving.commit import GroupCommit
from everfit.serving.predictor import Predictor
from everfit.serving.rows import RawRow

# What a compiled model answers in less time than handing the work to a thread and back takes.
FEW_ROWS = 100


class Answering:
    """A predictor for an event loop: compiled models answer few rows at once, all others in threads."""

    def __init__(self, predictor: Predictor, commit: GroupCommit) -> None:
        self.predictor = predictor
        self._commit = commit

    async def predict(self, rows: Sequence[RawRow]) -> list[Prediction]:
        """As `Predictor.predict`."""
        predictor = self.predictor
        if len(rows) <= FEW_ROWS and predictor.snapshot.is_quick:
            scored = predictor.score(rows)
        else:
            scored = await run_in_threadpool(predictor.score, rows)
        try:
            await self._commit.append(scored.records)
        except Exception:
            predictor.metrics.unlogged(len(scored.records))
            raise
        return predictor.settle(scored)
