"""The quick way through a canary or beside a shadow: the same arms, records and counts as the usual way."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.unit.serving_models import GOOD, MemoryLog, bundle, canary, model, one, without
from tests.unit.test_serving_predictor import broken, constant, customers, sample

from everfit.errors import StorageError
from everfit.project.sections.serving import Limits, Response
from everfit.records.prediction import MIRRORED
from everfit.records.release import Arm, RouteTable
from everfit.rollout.routing import route
from everfit.serving import arms
from everfit.serving.answers import Forms
from everfit.serving.commit import GroupCommit
from everfit.serving.many import Many
from everfit.serving.model import Model, open_model
from everfit.serving.predictor import Predictor
from everfit.serving.quick import Quick


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arms.Snapshot, "is_quick", True)  # of models small enough for a test


def serving(table: RouteTable, models: dict[int, Model], log: MemoryLog | None = None) -> tuple[Predictor, MemoryLog]:
    log = log or MemoryLog()
    predictor = Predictor(log)
    predictor.swap(table, models)
    return predictor, log


def asked(predictor: Predictor, rows: list[Any]) -> list[Any]:
    """The answer to each row on the quick way: its body, the error, or None where it was left to the usual way."""

    async def ask() -> list[Any]:
        loop = asyncio.get_running_loop()
        answers: list[Any] = [None] * len(rows)
        many = Many(predictor, Limits(), Forms(Response()))
        way = Quick(predictor, GroupCommit(predictor.log), lambda prediction: prediction, many)
        for place, row in enumerate(rows):

            def respond(body: bytes | None, error: Exception | None, place: int = place) -> None:
                answers[place] = json.loads(body) if body is not None else error

            way.answer(loop, json.dumps(row).encode(), respond)
        while way._commit.waiting:
            await asyncio.sleep(0)
        return answers

    return asyncio.run(ask())


def test_each_entity_meets_the_arm_that_its_key_is_routed_to() -> None:
    predictor, log = serving(canary(), {1: constant(0.1), 2: constant(0.9)})
    rows = customers(60)
    answers = asked(predictor, rows)
    expected = [route(canary(), str(row["customerID"])) for row in rows]
    assert [(said["arm"], said["score"]) for said in answers] == [
        (arm.name, {1: 0.1, 2: 0.9}[arm.version]) for arm in expected
    ]
    assert [record.id for record in log.records] == [said["id"] for said in answers]
    assert {said["arm"] for said in answers} == {"champion", "challenger"}


def test_a_challenger_that_fails_is_recorded_under_the_key_or_the_id_that_led_to_it() -> None:
    predictor, log = serving(canary(), {1: constant(0.1), 2: broken(ValueError("boom"))})
    rows = [*customers(30), *(without(row, "customerID") for row in customers(200))]
    answers = asked(predictor, rows)
    assert {(said["arm"], said["score"]) for said in answers} == {("champion", 0.1)}
    led = [said for said, row in zip(answers, rows, strict=True) if _meets(str(row.get("customerID") or said["id"]))]
    failed = [record for record in log.records if record.error]
    assert 0 < len(failed) == len(led) < len(rows)
    assert len(log.records) == len(rows) + len(failed)
    assert sample(predictor, "predictions_total", arm="challenger", version="2", status="error") == len(failed)
    assert sample(predictor, "predictions_total", arm="champion", version="1", status="ok") == len(rows)


def _meets(key: str) -> bool:
    return route(canary(), key).version == 2


def test_a_champion_that_fails_after_the_challenger_is_told_and_nobody_is_answered() -> None:
    predictor, log = serving(canary(1.0), {1: broken(ValueError("first")), 2: broken(ValueError("second"))})
    (error,) = asked(predictor, [GOOD])
    assert "could not score" in str(error)
    assert [(record.version, record.score) for record in log.records] == [(2, None), (1, None)]


def test_a_champion_that_fails_alone_is_left_to_the_usual_way() -> None:
    predictor, log = serving(one(), {1: broken(ValueError("boom"))})
    assert asked(predictor, [GOOD]) == [None]
    assert log.records == []


def test_a_shadow_gets_its_copy_under_the_same_id() -> None:
    table = RouteTable(3, (Arm("champion", 1, 1.0), Arm("shadow", 2, 0.0, mirrored=True)))
    predictor, log = serving(table, {1: constant(0.1), 2: constant(0.9)})
    answers = asked(predictor, customers(20))
    predictor.mirror.drain()
    shadow = [record for record in log.records if record.version == 2]
    assert sorted(record.id for record in shadow) == sorted(said["id"] + MIRRORED for said in answers)
    assert {record.score for record in shadow} == {0.9}


def test_what_cannot_be_logged_is_not_answered() -> None:
    class Full(MemoryLog):
        def append(self, records: Any) -> None:
            raise StorageError("the disk is full")

    predictor, _ = serving(canary(), {1: model(), 2: model()}, Full())
    answers = asked(predictor, customers(9))
    assert all(isinstance(said, StorageError) for said in answers)
    assert sample(predictor, "predictions_total", arm="champion", version="1", status="ok") is None


def test_many_rows_are_answered_at_once_and_very_many_are_left_to_a_thread() -> None:
    columns = open_model(bundle("Churn", source=""))
    predictor, log = serving(one(), {1: columns})
    rows = [{**row, "charges": 29.85} for row in customers(20)]
    few, many, wrong = asked(predictor, [{"rows": rows}, {"rows": rows * 50}, {"rows": [*rows, {"tenure": 1}]}])
    assert [said["id"] for said in few["predictions"]] == [record.id for record in log.records]
    assert (len(few["predictions"]), many, wrong) == (20, None, None)
    assert sample(predictor, "predictions_total", arm="champion", version="1", status="ok") == 20


def test_many_rows_are_refused_together_when_the_log_cannot_be_written() -> None:
    class Full(MemoryLog):
        def append(self, records: Any) -> None:
            raise StorageError("full")

    predictor, _ = serving(one(), {1: open_model(bundle("Churn", source=""))}, Full())
    (error,) = asked(predictor, [{"rows": [{**row, "charges": 29.85} for row in customers(3)]}])
    assert isinstance(error, StorageError)
    assert sample(predictor, "predictions_total", arm="none", version="none", status="unlogged") == 3
