"""Rows in, predictions out, every one written to the log first: the core that HTTP and batch scoring share.

Nothing here knows a protocol. The models and the route table that a request sees are one immutable snapshot, read
once when it begins, so that no request meets half a release.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import msgspec

from everfit.errors import RequestError, StorageError
from everfit.ports import OnlineStore, PredictionLog
from everfit.records.prediction import Prediction, PredictionRecord
from everfit.records.release import Arm, RouteTable
from everfit.rollout.routing import route
from everfit.serving import together
from everfit.serving.arms import Attempt, Snapshot, attempts, failure
from everfit.serving.asking import Ask, Asking, Mask, unmasked
from everfit.serving.entries import prediction, record
from everfit.serving.identity import new_id
from everfit.serving.metrics import ServingMetrics, Status
from everfit.serving.mirror import Mirror, mirrored
from everfit.serving.model import Answer, Model
from everfit.serving.rows import RawRow
from everfit.serving.sent import Sent
from everfit.serving.together import Together
from everfit.serving.turn import Turn


@dataclass(frozen=True, slots=True)
class Scored:
    """What the models made of a request's rows, the records that are to be in the log first, and when it began."""

    attempts: Sequence[Attempt]
    records: Sequence[PredictionRecord]
    asks: Sequence[Ask]
    started: float
    at: datetime
    snapshot: Snapshot

    def settled(self, predictor: Predictor) -> Prediction:
        """`Predictor.settle`, of one row."""
        return predictor.settle(self)[0]


class Ready(msgspec.Struct, frozen=True, gc=False):
    """One row that has its answer: the records that are to be in the log first, and what is to be counted then."""

    records: Sequence[PredictionRecord]
    snapshot: Snapshot
    arm: Arm
    ask: Ask
    answer: Answer
    began: float
    at: datetime

    def settled(self, predictor: Predictor) -> Prediction:
        """As `Predictor.settle`."""
        arm = self.arm
        predictor.metrics.predicted(arm.name, arm.version, "ok", 1, time.perf_counter() - self.began)
        if len(self.snapshot.table.arms) > 1:
            predictor.mirror.offer(self.snapshot, (self.ask,), self.at)
        return prediction(arm, self.ask, self.answer)


class Predictor:
    """Answers from the models of a route table; safe to call from many threads at once.

    `online` holds the rows for requests that give an entity alone. `mask` takes personal values out of a row before
    anything is done with it, as was done to the table that the models were trained on (and to the rows in `online`).
    `now` gives the time of a record.
    """

    def __init__(
        self,
        log: PredictionLog,
        *,
        online: OnlineStore | None = None,
        mask: Mask = unmasked,
        metrics: ServingMetrics | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.log = log  # where every prediction is
        self._asking = Asking(online, mask)
        self._now = now
        self._snapshot = Snapshot(RouteTable(0, ()), {})
        self._is_quick = False
        self._behind = ""
        self.metrics = metrics or ServingMetrics()
        self.mirror = Mirror(partial(_mirrored, log), drop=self.metrics.dropped)

    @property
    def snapshot(self) -> Snapshot:
        """What answers at this moment."""
        return self._snapshot

    @property
    def behind(self) -> str:
        """Why a newer release is not served; empty while the newest one is."""
        return self._behind

    @behind.setter
    def behind(self, why: str) -> None:
        self._behind = why
        self.metrics.behind(bool(why))

    def swap(
        self, table: RouteTable, models: Mapping[int, Model], created: Mapping[int, datetime] | None = None
    ) -> None:
        """Lets these answer from now on; requests under way finish on what they began with. Raises ValueError when
        the table names a version without a model, and then nothing changes."""
        lacking = [arm.version for arm in table.arms if arm.version not in models]
        if lacking:
            raise ValueError(f"no model for the versions {lacking} of the route table")
        used = {arm.version: models[arm.version] for arm in table.arms}
        self._snapshot = Snapshot(table, used, created or {})
        self._is_quick = bool(table.arms) and self._snapshot.is_quick
        quality = {version: model.manifest.quality for version, model in used.items()}
        self.metrics.released(table, created or {}, quality)

    def predict(self, rows: Sequence[RawRow]) -> list[Prediction]:
        """One prediction a row, in the rows' order; all of them are in the log when this returns.

        A row is raw columns by name, or the entity alone, whose row is then read from the online store. A challenger
        that fails is recorded as such and the champion answers in its place. Raises RequestError (UnknownEntity) for
        rows that cannot be answered, NotReady without a release, StepFailed when the champion fails and StorageError
        when the log cannot be written; then no row is answered.
        """
        scored = self.score(rows)
        try:
            self.log.append(scored.records)
        except StorageError:
            self.metrics.unlogged(len(scored.records))
            raise
        return self.settle(scored)

    def score(self, rows: Sequence[RawRow]) -> Scored:
        """The first half of `predict`: nothing is answered until its records are in the log. Raises RequestError and
        NotReady."""
        try:
            return self.tried(rows)
        except RequestError:
            self.metrics.rejected(len(rows))
            raise

    def tried(self, rows: Sequence[RawRow]) -> Scored:
        """As `score`, for who will try again: a refusal is not counted."""
        started = time.perf_counter()
        snapshot, now = self._snapshot, self._now()
        asks = self._asking.asks(rows, snapshot.champion, now)
        done = attempts(snapshot, asks)
        records = [record for attempt in done for record in _records(attempt, now)]
        return Scored(done, records, asks, started, now, snapshot)

    def one(self, row: RawRow) -> Ready | Scored | None:
        """The answer to one row where that takes microseconds: every arm's model is compiled. None where `predict` is
        to be asked. Raises what `score` raises, and what the champion raises: `predict` then raises it again."""
        if not self._is_quick:
            return None
        snapshot, began, now = self._snapshot, time.perf_counter(), self._now()
        ask = self._asking.ask(0, row, snapshot.champion, new_id(now))
        arms = snapshot.table.arms
        arm = arms[0] if len(arms) == 1 else route(snapshot.table, ask.key or ask.id)
        model = snapshot.models[arm.version]
        try:
            answer = model.one(ask.row, ask.stored)
        except Exception:
            if arm == arms[0]:
                raise
            return _instead(snapshot, ask, began, now)
        made = record(arm, ask, answer, now, time.perf_counter() - began)
        return Ready((made,), snapshot, arm, ask, answer, began, now)

    def turn(self) -> Turn | None:
        """For the rows that come in one turn of the event loop; None where each has to be answered by itself."""
        return Turn.begun(self._snapshot, self._asking, self._now) if self._is_quick else None

    def together(self, sent: Sent) -> Together | None:
        """The answers to many rows where that takes microseconds a row. None where `predict` is to be asked, which then
        meets again whatever was wrong."""
        if not self._is_quick:
            return None
        snapshot, began, now = self._snapshot, time.perf_counter(), self._now()
        try:
            parts = together.parts(snapshot, sent, self._asking.mask, now)
        except Exception:  # noqa: BLE001  whatever it is, the usual way says it
            return None
        if parts is None:
            return None

        def settle() -> None:
            seconds = time.perf_counter() - began
            for part in parts:
                self.metrics.predicted(part.batch.arm, part.batch.version, "ok", len(part.places), seconds)
            if any(arm.mirrored for arm in snapshot.table.arms):
                self.mirror.offer(snapshot, together.asks(parts), now)

        return Together(sent.count, parts, settle)

    def settle(self, scored: Scored) -> list[Prediction]:
        """The second half, once the records are written. Raises what the champion raised."""
        seconds = time.perf_counter() - scored.started
        for attempt in scored.attempts:
            status: Status = "ok" if attempt.error is None else "error"
            self.metrics.predicted(attempt.arm.name, attempt.arm.version, status, len(attempt.asks), seconds)
        answered = dict(pair for attempt in scored.attempts for pair in _answered(attempt))
        if len(answered) < len(scored.asks):
            raise failure(scored.attempts[-1], scored.snapshot.champion.manifest.model)
        self.mirror.offer(scored.snapshot, scored.asks, scored.at)
        return [answered[place] for place in range(len(scored.asks))]


def _instead(snapshot: Snapshot, ask: Ask, began: float, now: datetime) -> Scored:
    """The challenger failed on the row: it is tried for the record, and the champion answers under the same id, by
    which the row was routed."""
    done = attempts(snapshot, [ask])
    records = [record for attempt in done for record in _records(attempt, now)]
    return Scored(done, records, [ask], began, now, snapshot)


def _records(attempt: Attempt, now: datetime) -> Iterator[PredictionRecord]:
    error = None if attempt.error is None else f"{type(attempt.error).__name__}: {attempt.error}"[:500]
    answers: Sequence[Answer | None] = attempt.answers or [None] * len(attempt.asks)
    for ask, answer in zip(attempt.asks, answers, strict=True):
        yield record(attempt.arm, ask, answer, now, attempt.seconds, error)


def _mirrored(log: PredictionLog, attempt: Attempt, at: datetime) -> None:
    log.append(mirrored(list(_records(attempt, at)), attempt.asks))


def _answered(attempt: Attempt) -> Iterator[tuple[int, Prediction]]:
    for ask, answer in zip(attempt.asks, attempt.answers, strict=attempt.error is None):
        yield ask.place, prediction(attempt.arm, ask, answer)
