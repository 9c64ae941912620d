"""What a version must show before it gets traffic, and what takes it back at once after that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs
from tests.unit.serving_models import MemoryLog, bundle

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import ReleaseError, RequestError, StorageError
from everfit.flow import holding, ledger, rehearsal, release, smoke
from everfit.project.sections.release import Release
from everfit.project.sections.serving import Response
from everfit.records.model import EXAMPLE_SCORE, ModelVersion
from everfit.records.prediction import PredictionRecord
from everfit.records.release import Action, Strategy
from everfit.serving.model import Answer, Model, open_model
from everfit.serving.rows import RawRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE = Release(strategy=Strategy.IMMEDIATE)


def made(score: str | None = None) -> ModelVersion:
    return ModelVersion("churn", 2, "abcdef0123456789", "run", NOW, {}, {EXAMPLE_SCORE: score} if score else {})


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model(bundle())


def test_an_answer_is_compared_to_its_last_bit(model: Model) -> None:
    true = smoke.recorded(model)
    smoke.check(model, made(true))
    almost = (float.fromhex(true) * (1 + 2**-52)).hex()
    with pytest.raises(StorageError, match="answers its own example with"):
        smoke.check(model, made(almost))


def test_a_version_that_nothing_was_recorded_of_is_taken_as_it_is(model: Model) -> None:
    smoke.check(model, made())


def test_a_rehearsal_passes_a_sound_version_and_leaves_nothing_behind(model: Model) -> None:
    shown = rehearsal.rehearse(model, made(smoke.recorded(model)), 5.0, Response(score="churn_probability"))
    assert shown["rehearsal_score"] == model.one(model.manifest.example).score
    assert shown["rehearsal_requests"] == 7


def test_a_version_that_is_too_slow_gets_no_traffic(model: Model) -> None:
    with pytest.raises(ReleaseError, match="failed its rehearsal, and gets no traffic: it took"):
        rehearsal.rehearse(model, made(), 0.0)


class Careless(Model):
    """Answers whatever it is asked."""

    def one(self, row: RawRow, stored: bool = False) -> Answer:
        try:
            return super().one(row, stored)
        except RequestError:
            return Answer("No", 0.5, None, {})


class Skewed(Model):
    """Answers several rows otherwise than one."""

    def answer(self, rows: Sequence[RawRow]) -> list[Answer]:
        return [structs.replace(answer, score=0.5) for answer in super().answer(rows)]


def test_a_version_that_accepts_any_row_gets_no_traffic(model: Model) -> None:
    careless = Careless(model.manifest, model.functions, model.scorer, model.parser)
    with pytest.raises(ReleaseError, match="did not refuse a row with a column that the table does not have"):
        rehearsal.rehearse(careless, made(), 5.0)


def test_a_version_that_answers_otherwise_over_http_gets_no_traffic(model: Model) -> None:
    skewed = Skewed(model.manifest, model.functions, model.scorer, model.parser)
    with pytest.raises(ReleaseError, match=r"answers its example with 0\.5 over HTTP"):
        rehearsal.rehearse(skewed, made(), 5.0)


@pytest.fixture
def state(tmp_path: Path) -> SqliteState:
    """Version 2 is champion since NOW, after version 1."""
    found = SqliteState(tmp_path / "state.db")
    for number in (1, 2):
        ledger.register(found, replace(made(), version=number, bundle_hash=f"b{number}"), "ann", NOW)
        release.start(found, AT_ONCE, "ann", number, at=NOW)
    return found


def requests(failed: int, of: int, at: timedelta = timedelta(seconds=1)) -> MemoryLog:
    return MemoryLog(
        [
            PredictionRecord(
                str(i), NOW + i * at, None, {}, {}, "champion", 2, None, None, 0.01, "no" if i < failed else None
            )
            for i in range(of)
        ]
    )


def held(state: SqliteState, log: MemoryLog, after: timedelta = timedelta(minutes=5)) -> Action | None:
    found, _ = holding.hold(state, log, AT_ONCE, "ann", NOW + after)
    return found.action if found else None


def test_a_new_champion_that_fails_is_rolled_back_at_once(state: SqliteState) -> None:
    assert held(state, requests(8, 10)) is Action.ROLL_BACK
    now = ledger.current(state)
    assert (now.champion, now.rejected) == (1, (2,))
    assert ledger.events(state)[-1].reason == "a burst of errors: 8 of 10 requests failed"


def test_some_failures_one_failed_batch_or_an_old_champion_are_no_burst(state: SqliteState) -> None:
    assert held(state, requests(5, 40)) is None
    assert held(state, requests(500, 500, at=timedelta(0))) is None
    assert held(state, requests(8, 10), after=timedelta(hours=2)) is None
    assert ledger.current(state).champion == 2
