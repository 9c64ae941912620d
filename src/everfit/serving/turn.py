"""The rows that came within one turn of the event loop: each read as it comes, all scored and logged together after it.

A busy loop reads several connections a turn. What a kernel's call, a record and its line in the log cost is then shared
by their requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import repeat, starmap
from typing import cast

import msgspec

from everfit.records.prediction import Logged, Prediction, PredictionBatch, by_row
from everfit.records.release import Arm
from everfit.records.table import Row
from everfit.serving.arms import Snapshot
from everfit.serving.asking import Ask, Asking
from everfit.serving.compiled_rows import CompiledRows
from everfit.serving.entries import prediction, record
from everfit.serving.identity import new_ids
from everfit.serving.metrics import ServingMetrics
from everfit.serving.model import ColumnAnswers, Model, told
from everfit.serving.rows import RawRow
from everfit.serving.typed_rows import TypedRows, Values

# From so many rows on, a batch of the log is made in less time than a record for each.
FEW = 3
Clock = Callable[[], datetime]
_Whom = tuple[str | None, str | None, RawRow, bool]


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The rows of a turn with their answers: what is to be in the log first, and what is to be counted then."""

    arm: Arm
    records: Sequence[Logged]
    predictions: Sequence[Prediction]
    began: float

    def settle(self, metrics: ServingMetrics) -> Sequence[Prediction]:
        """One prediction a row, in the order in which they were taken, without their features."""
        count, seconds = len(self.predictions), time.perf_counter() - self.began
        metrics.predicted(self.arm.name, self.arm.version, "ok", count, seconds, requests=count)
        return self.predictions


class Turn:
    """For a route table of one arm whose model is compiled and reads columns only. The latency of a row is that of all:
    from when the first one came until all are scored."""

    def __init__(
        self, arm: Arm, model: Model, compiled: CompiledRows, typed: TypedRows, asking: Asking, now: Clock
    ) -> None:
        self._arm, self._model, self._compiled, self._typed = arm, model, compiled, typed
        self._asking, self._now = asking, now
        self._began = time.perf_counter()
        self._whom: list[_Whom] = []
        self._raw: list[bytes] = []
        self._values: list[Values] = []
        self._is_plain = True

    @classmethod
    def begun(cls, snapshot: Snapshot, asking: Asking, now: Clock) -> Turn | None:
        """For what answers at this moment; None where each row has to be answered by itself."""
        model, arms = snapshot.champion, snapshot.table.arms
        compiled = model.compiled if len(arms) == 1 else None
        if compiled is None or compiled.typed is None:
            return None
        return cls(arms[0], model, compiled, compiled.typed, asking, now)

    def take(self, row: RawRow) -> None:
        """Reads a row. Raises ValueError or RequestError for one that the usual way has to look at."""
        whom = self._asking.whom(row, self._model)
        raw, values, is_plain = self._typed.values(whom[2], whom[3])
        self._whom.append(whom)
        self._raw.append(raw)
        self._values.append(values)
        self._is_plain = self._is_plain and is_plain

    def answered(self) -> Answered:
        """Scores the rows that were taken. Raises StepFailed when one of the scores is no finite number."""
        now, count = self._now(), len(self._whom)
        ids, outputs = new_ids(now, count), self._compiled.few(self._raw)
        if count >= FEW and len({tuple(row) for _, _, row, _ in self._whom}) == 1:
            return self._together(ids, told(self._model.manifest, outputs, count), now)
        width = len(outputs) // count
        asks = [Ask(place, ids[place], *whom) for place, whom in enumerate(self._whom)]
        answers = [
            self._model.answered(outputs[ask.place * width :][:width], self._typed.features(values))
            for ask, values in zip(asks, self._values, strict=True)
        ]
        seconds, pairs = time.perf_counter() - self._began, list(zip(asks, answers, strict=True))
        records = [record(self._arm, ask, answer, now, seconds) for ask, answer in pairs]
        return Answered(self._arm, records, [prediction(self._arm, *pair) for pair in pairs], self._began)

    def _together(self, ids: Sequence[str], answers: ColumnAnswers, now: datetime) -> Answered:
        name, version = self._arm.name, self._arm.version
        entities, keys, given, _ = zip(*self._whom, strict=True)
        rows = [cast("Row", row) for row in given]  # the parser let only scalars pass
        shares = repeat(None) if answers.probabilities is None else by_row(answers.probabilities, len(ids))
        each = zip(
            ids, entities, answers.predictions, answers.scores, shares, repeat(version), repeat(name), strict=False
        )
        batch = PredictionBatch(
            ids,
            now,
            None if self._model.manifest.entity is None else keys,
            dict(zip(rows[0], zip(*[row.values() for row in rows], strict=True), strict=True)),
            self._typed.columns(self._values, self._is_plain),
            name,
            version,
            answers.scores,
            answers.predictions,
            time.perf_counter() - self._began,
            answers.probabilities,
        )
        return Answered(self._arm, (batch,), list(starmap(Prediction, each)), self._began)
