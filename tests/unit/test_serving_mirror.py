"""A version in the shadow: it scores everything, answers nobody, and cannot hurt whoever does."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

from tests.unit.serving_models import GOOD, MemoryLog, bundle

from everfit.records.prediction import MIRRORED
from everfit.records.release import Arm, RouteTable
from everfit.serving.arms import Snapshot
from everfit.serving.asking import Ask
from everfit.serving.metrics import ServingMetrics
from everfit.serving.mirror import Mirror
from everfit.serving.model import Model, open_model
from everfit.serving.predictor import Predictor

TABLE = RouteTable(3, (Arm("champion", 1, 1.0), Arm("shadow", 2, 0.0, mirrored=True)))
AT = datetime(2026, 1, 1, tzinfo=UTC)


def shadowed(log: MemoryLog, shadow: Model) -> Predictor:
    predictor = Predictor(log)
    predictor.swap(TABLE, {1: open_model(bundle()), 2: shadow})
    return predictor


class Broken:
    """Stands where a scorer does."""

    def score(self, matrix: object) -> object:
        raise RuntimeError("no more")


def test_every_request_is_mirrored_and_none_is_answered_by_the_shadow() -> None:
    log = MemoryLog()
    predictor = shadowed(log, open_model(bundle()))
    answers = [answer for _ in range(50) for answer in predictor.predict([GOOD, GOOD])]
    predictor.mirror.drain()
    assert {answer.version for answer in answers} == {1}
    shadow = [record for record in log.records if record.version == 2]
    assert sorted(record.id for record in shadow) == sorted(answer.id + MIRRORED for answer in answers)
    assert {record.arm for record in shadow} == {"shadow"}
    assert all(record.score is not None for record in shadow)


def test_a_shadow_that_fails_is_a_record_and_nothing_else() -> None:
    log = MemoryLog()
    predictor = shadowed(log, replace(open_model(bundle()), scorer=Broken(), compiled=None))
    (answer,) = predictor.predict([GOOD])
    predictor.mirror.drain()
    assert answer.version == 1
    failed = [record for record in log.records if record.version == 2]
    assert [(record.id, record.score) for record in failed] == [(answer.id + MIRRORED, None)]
    assert "no more" in str(failed[0].error)


def test_a_shadow_that_hangs_drops_copies_and_holds_up_nobody() -> None:
    held, let_go = threading.Event(), threading.Event()

    def hang(attempt: object, at: datetime) -> None:
        held.set()
        assert let_go.wait(20)

    metrics = ServingMetrics()
    mirror = Mirror(hang, longest=3, drop=metrics.dropped)
    snapshot = Snapshot(TABLE, {1: open_model(bundle()), 2: open_model(bundle())})
    asks = [Ask(0, "a", None, None, GOOD)]
    mirror.offer(snapshot, asks, AT)
    assert held.wait(20)
    for _ in range(10):
        mirror.offer(snapshot, asks, AT)
    assert mirror.dropped == 7
    assert "shadow_dropped_total 7.0" in metrics.text().decode()
    let_go.set()
    mirror.drain()


def test_without_a_shadow_nothing_is_copied() -> None:
    written: list[object] = []
    mirror = Mirror(lambda attempt, at: written.append(attempt))
    alone = Snapshot(RouteTable(1, (Arm("champion", 1, 1.0),)), {1: open_model(bundle())})
    mirror.offer(alone, [Ask(0, "a", None, None, GOOD)], AT)
    mirror.drain()
    assert written == []
