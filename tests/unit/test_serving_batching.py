"""Requests of the moment are answered together where the model is heavy, and nobody pays for another's row."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from tests.unit.serving_models import GOOD, MemoryLog, canary, model, one, scoring

from everfit.errors import EverfitError, NotReady, RequestError, StepFailed, StorageError
from everfit.records.prediction import Prediction
from everfit.serving.answering import Answering
from everfit.serving.batching import MOST_ROWS, Batching
from everfit.serving.commit import GroupCommit
from everfit.serving.model import Model
from everfit.serving.predictor import Predictor

# The model of the tests fails on this.
HUGE = 999.0


@dataclass
class Heavy:
    """An estimator that waits until it is let go, and remembers how many rows each call had."""

    calls: list[int] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, matrix: Any) -> Any:
        self.calls.append(len(matrix))
        assert self.go.wait(60)
        if np.abs(matrix).max() > 30:
            raise ValueError("too large")
        return np.tile([0.25, 0.75], (len(matrix), 1))

    @property
    def model(self) -> Model:
        return scoring(model(), self)


def row(number: int, **changed: object) -> dict[str, object]:
    return {**GOOD, "customerID": f"c-{number}", **changed}


def asked(answering: Answering, requests: Sequence[Sequence[dict[str, object]]], heavy: Heavy) -> list[Any]:
    """What becomes of requests that all come while the first ones are computed."""

    async def all_at_once() -> list[Any]:
        tasks = [asyncio.ensure_future(answering.predict(rows)) for rows in requests]
        while not heavy.calls:
            await asyncio.sleep(0)
        heavy.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(all_at_once())


def answering(heavy: Heavy, log: MemoryLog, batches: bool = True) -> Answering:
    made = Predictor(log)
    made.swap(one(), {1: heavy.model})
    return Answering(made, GroupCommit(log), batches)


def test_what_comes_while_the_model_computes_is_one_call() -> None:
    heavy, log = Heavy(), MemoryLog()
    found = asked(answering(heavy, log), [[row(number)] for number in range(40)], heavy)
    assert len(heavy.calls) < 10
    assert sum(heavy.calls) == 40
    assert [said[0].entity for said in found] == [f"c-{number}" for number in range(40)]
    assert {record.id for record in log.records} == {said[0].id for said in found}


def test_each_request_gets_its_own_rows_in_order() -> None:
    heavy, log = Heavy(), MemoryLog()
    requests = [[row(10 * place + number) for number in range(place % 4 + 1)] for place in range(20)]
    found = asked(answering(heavy, log), requests, heavy)
    assert [[said.entity for said in one] for one in found] == [[r["customerID"] for r in rows] for rows in requests]


def test_without_batches_each_request_is_a_call() -> None:
    heavy, log = Heavy(), MemoryLog()
    asked(answering(heavy, log, batches=False), [[row(number)] for number in range(12)], heavy)
    assert heavy.calls == [1] * 12


def test_a_large_request_is_computed_by_itself() -> None:
    heavy, log = Heavy(), MemoryLog()
    asked(answering(heavy, log), [[row(0)], *([[row(1)] * 50] * 3)], heavy)
    assert sorted(heavy.calls) == [1, 50, 50, 50]


def test_a_refused_row_costs_nobody_else_an_answer() -> None:
    heavy, log = Heavy(), MemoryLog()
    made = answering(heavy, log)
    requests = [[row(number, tenure=-5 if number == 7 else 3)] for number in range(12)]
    found = asked(made, requests, heavy)
    assert isinstance(found[7], RequestError)
    assert [said[0].entity for place, said in enumerate(found) if place != 7] == [f"c-{n}" for n in range(12) if n != 7]
    assert len(log.records) == 11
    assert rejected(made) == 1


def rejected(made: Answering) -> float:
    lines = made.predictor.metrics.text().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("predictions_total") and "rejected" in line)


def test_a_challenger_fails_only_on_the_row_that_it_fails_on() -> None:
    heavy, log = Heavy(), MemoryLog()
    made = Predictor(log)
    made.swap(canary(), {1: scoring(model(), lambda matrix: np.tile([0.5, 0.5], (len(matrix), 1))), 2: heavy.model})
    requests = [[row(number, charges=HUGE if number % 8 == 5 else 20.0)] for number in range(24)]
    found = asked(Answering(made, GroupCommit(log)), requests, heavy)
    assert all(isinstance(said, list) for said in found)
    failed = [record for record in log.records if record.error is not None]
    assert {record.input["charges"] for record in failed} == {HUGE}
    assert sum(record.arm == "challenger" for record in log.records) > len(failed)


def test_a_champion_fails_only_the_request_that_it_fails_on() -> None:
    heavy, log = Heavy(), MemoryLog()
    requests = [[row(number, charges=HUGE if number == 3 else 20.0)] for number in range(12)]
    found = asked(answering(heavy, log), requests, heavy)
    assert [place for place, said in enumerate(found) if isinstance(said, StepFailed)] == [3]
    assert sum(record.error is None for record in log.records) == 11


def test_nothing_is_answered_that_is_not_logged() -> None:
    class Full(MemoryLog):
        def append(self, records: Any) -> None:
            raise StorageError("the disk is full")

    heavy = Heavy()
    found = asked(answering(heavy, Full()), [[row(number)] for number in range(9)], heavy)
    assert [type(said) for said in found] == [StorageError] * 9


def test_without_a_release_every_request_is_told_so() -> None:
    made = Predictor(MemoryLog())

    async def all_at_once() -> list[Any]:
        batching = Answering(made, GroupCommit(made.log))
        return await asyncio.gather(*(batching.predict([row(n)]) for n in range(3)), return_exceptions=True)

    assert [type(said) for said in asyncio.run(all_at_once())] == [NotReady] * 3


def test_who_hangs_up_is_not_computed_for() -> None:
    heavy, log = Heavy(), MemoryLog()
    made = answering(heavy, log)

    async def given_up() -> None:
        tasks = [asyncio.ensure_future(made.predict([row(number)])) for number in range(30)]
        while not heavy.calls:
            await asyncio.sleep(0)
        for task in tasks[20:]:
            task.cancel()
        await asyncio.sleep(0)
        heavy.go.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(given_up())
    assert len(log.records) == 20


def test_a_batch_has_its_limit() -> None:
    sizes: list[int] = []

    async def score(rows: Any) -> Any:
        sizes.append(len(rows))
        raise StepFailed("each by itself, then")

    async def alone(rows: Any) -> list[Prediction]:
        await asyncio.sleep(0)
        return [rows[0]]

    async def finish(scored: Any) -> list[Prediction]:
        raise AssertionError("nothing was scored together")

    async def many() -> list[Any]:
        batching = Batching(score, finish, alone, most=1)
        return await asyncio.gather(*(batching.predict([{"n": n}] * 16) for n in range(200)))

    found: list[Any] = asyncio.run(many())
    assert [one[0]["n"] for one in found] == list(range(200))
    assert max(sizes) <= MOST_ROWS
    assert max(sizes) > MOST_ROWS - 16


@pytest.mark.parametrize("error", [ZeroDivisionError, EverfitError])
def test_whatever_goes_wrong_reaches_who_asked(error: type[Exception]) -> None:
    async def broken(_: Any) -> Any:
        raise error("x")

    async def many() -> list[Any]:
        batching = Batching(broken, broken, broken, most=1)
        return await asyncio.gather(*(batching.predict([row(n)]) for n in range(4)), return_exceptions=True)

    assert [type(one) for one in asyncio.run(many())] == [error] * 4
