"""Rows of one turn of the loop: the same answers and records as each by itself, and each told of its own fate."""

from __future__ import annotations

import asyncio
import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.serving_models import GOOD, RULES, MemoryLog, MemoryStore, bundle, one, table
from tests.unit.test_serving_predictor import sample

from everfit.compiled.scorer import CompiledScorer
from everfit.errors import StepFailed, StorageError
from everfit.project.sections.serving import Limits, Response
from everfit.records.prediction import PredictionBatch
from everfit.serving.answers import Forms
from everfit.serving.commit import GroupCommit
from everfit.serving.log import JsonLinesLog
from everfit.serving.many import Many
from everfit.serving.model import open_model
from everfit.serving.predictor import Predictor
from everfit.serving.quick import Quick
from everfit.serving.turns import Turns

TARGETS = ("Churn", "level", "risk")
ROWS = table(40).drop("Churn", "risk", "level").to_dicts()


opened = lru_cache(open_model)


class Kept(MemoryLog):
    """A log that remembers what was appended at once, and can be full."""

    def __init__(self) -> None:
        super().__init__()
        self.appended: list[Any] = []
        self.error: Exception | None = None

    def append(self, records: Any) -> None:
        if self.error is not None:
            raise self.error
        if records:
            self.appended.append(list(records))
        super().append(records)


def served(target: str = "Churn", log: Any = None, family: str = "logistic") -> tuple[Predictor, Any]:
    """A compiled model that reads columns only."""
    log = log or Kept()
    made = opened(bundle(target, "", RULES, family))
    predictor = Predictor(log, online=MemoryStore({"c-7": {**GOOD, "later": 3}}))
    predictor.swap(one(), {1: made})
    return predictor, log


def asked(predictor: Predictor, *rounds: list[Any], alone: bool = False) -> list[Any]:
    """What each row of each turn is answered on the quick way; None for what is left to the usual way."""

    async def ask() -> list[Any]:
        loop = asyncio.get_running_loop()
        answers: list[Any] = []
        commit = GroupCommit(predictor.log)
        turns = None if alone else Turns(predictor, commit, lambda prediction: prediction)
        many = Many(predictor, Limits(), Forms(Response()))
        way = Quick(predictor, commit, lambda prediction: prediction, many, turns)
        for rows in rounds:
            for row in rows:
                place = len(answers)
                answers.append(None)

                def respond(body: bytes | None, error: Exception | None, place: int = place) -> None:
                    answers[place] = json.loads(body) if body is not None else error

                way.answer(loop, json.dumps(row).encode(), respond)
            while commit.waiting:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        return answers

    return asyncio.run(ask())


def told(answers: list[Any]) -> list[Any]:
    """Without what differs from time to time, and from a sum in another order."""
    kept = [
        {k: v for k, v in one.items() if k not in ("id", "features")} if isinstance(one, dict) else one
        for one in answers
    ]
    rounded: list[Any] = json.loads(json.dumps(kept), parse_float=lambda text: round(float(text), 12))
    return rounded


def logged(log: Any) -> list[Any]:
    return [
        (one.entity, one.input, list(one.features.items()), one.prediction, one.score, one.error) for one in log.records
    ]


@pytest.mark.parametrize("family", ["logistic", "random_forest"])
@pytest.mark.parametrize("target", TARGETS)
def test_together_they_are_answered_and_logged_as_each_by_itself(target: str, family: str) -> None:
    together, first = served(target, family=family)
    alone, second = served(target, family=family)
    answers = asked(together, ROWS)
    assert told(answers) == told(asked(alone, ROWS, alone=True))
    assert [len(records) for records in first.appended] == [1]
    assert isinstance(first.appended[0][0], PredictionBatch)
    assert logged(first) == logged(second)
    assert [one.id for one in first.records] == [said["id"] for said in answers]


ODD: Any = st.fixed_dictionaries(
    {
        "tenure": st.integers(-3, 130) | st.floats(0, 100) | st.none() | st.booleans(),
        "charges": st.sampled_from(["29.85", " ", "12", "1e3", "x", 70, None, 0.5]),
        "plan": st.sampled_from(["basic", "full", None, "gold", " "]),
        "senior": st.sampled_from(["Yes", "no", True, False, 1, 0, None, "maybe", "TRUE"]),
        "signup": st.sampled_from(["2023-04-01", None]),
    },
    optional={"customerID": st.sampled_from(["c-1", 7, None, " "]), "tenur": st.just(1)},
)


@settings(deadline=None, max_examples=60)
@given(st.lists(ODD, min_size=1, max_size=6))
def test_an_unusual_row_changes_nothing_for_the_others(rows: list[Any]) -> None:
    together, first = served()
    alone, second = served()
    assert told(asked(together, rows)) == told(asked(alone, rows, alone=True))
    assert logged(first) == logged(second)


def test_a_stored_row_and_a_sent_one_meet_in_a_turn() -> None:
    predictor, log = served()
    sent = {**GOOD, "customerID": "c-8"}
    answers = asked(predictor, [{"customerID": "c-7"}, sent, {"customerID": "nobody"}, {"customerID": "c-7"}])
    assert [said and said["entity"] for said in answers] == ["c-7", "c-8", None, "c-7"]
    assert [one.input for one in log.records] == [{**GOOD, "later": 3}, sent, {**GOOD, "later": 3}]


def test_each_turn_is_logged_before_the_next(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path)
    predictor, _ = served(log=log)
    answers = asked(predictor, ROWS[:5], ROWS[5:6], ROWS[6:8], ROWS[8:])
    log.close()
    assert [one.id for one in log.read()] == [said["id"] for said in answers]
    assert [one.input for one in log.read()] == ROWS


def test_every_request_is_counted() -> None:
    predictor, _ = served()
    asked(predictor, ROWS, ROWS[:1])
    labels = {"arm": "champion", "version": "1"}
    assert sample(predictor, "predictions_total", **labels, status="ok") == 41
    assert sample(predictor, "prediction_latency_seconds_count", **labels) == 41


def test_what_cannot_be_logged_is_not_answered() -> None:
    predictor, log = served()
    log.error = StorageError("the disk is full")
    assert asked(predictor, ROWS[:4]) == [log.error] * 4
    assert sample(predictor, "predictions_total", arm="none", version="none", status="unlogged") == 4
    assert sample(predictor, "predictions_total", arm="champion", version="1", status="ok") is None


def test_a_score_that_is_no_number_is_one_callers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**GOOD, "tenure": tenure} for tenure in (11, 12, 13, 14)]
    bad = asked(served()[0], rows[2:3])[0]["score"]
    predictor, log = served()
    right = CompiledScorer.few

    def few(self: CompiledScorer, encoded: Any, count: int) -> list[float]:
        return [math.nan if score == bad else score for score in right(self, encoded, count)]

    monkeypatch.setattr(CompiledScorer, "few", few)
    answers = asked(predictor, rows)
    assert [isinstance(said, StepFailed) for said in answers] == [False, False, True, False]
    assert [one.error is None for one in log.records] == [True, True, False, True]
    assert sample(predictor, "request_errors_total", status="500") == 1
