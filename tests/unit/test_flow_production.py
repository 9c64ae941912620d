"""Servers held to the ledger over HTTP: what is right passes, and everything else is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.serving_models import MemoryLog, model, one, scoring
from tests.unit.test_serving_server import running

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import ProjectError
from everfit.flow import ledger, production, promotion
from everfit.flow.asking import Asking
from everfit.flow.production import Expected
from everfit.records.model import ModelVersion
from everfit.records.release import EventKind, ReleaseState, SmokeTest
from everfit.rollout.approval import Rule
from everfit.serving.access import Access
from everfit.serving.app import create_app
from everfit.serving.model import Model
from everfit.serving.predictor import Predictor

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RELEASE = ReleaseState(number=3, champion=1, registered=(1,))
AT_ONCE = timedelta(0)


@contextmanager
def server(served: Model, number: int = 3, access: Access | None = None, behind: str = "") -> Iterator[str]:
    predictor = Predictor(MemoryLog())
    predictor.swap(replace(one(1), number=number), {1: served})
    predictor.behind = behind
    with running(create_app(predictor, access=access)) as (port, _, _):
        yield f"http://127.0.0.1:{port}"


def expected(longest: float = 10.0) -> Expected:
    return Expected(RELEASE, {1: model()}, lambda row: row, "score", longest)


def told(found: SmokeTest) -> dict[str, str]:
    """What failed, and why."""
    return {check.name: check.told for check in found.checks if not check.passed}


def test_a_server_that_answers_what_the_store_holds_passes() -> None:
    with server(model()) as url:
        found = production.smoke_test(Asking(url), expected(), AT_ONCE)
    assert (found.passed, len(found.checks), told(found)) == (True, 4, {})
    assert found.fastest is not None


def test_a_server_whose_answer_differs_in_its_last_bit_fails() -> None:
    def almost(matrix: object) -> object:
        return model().scorer.score(matrix) * (1 + 2**-52)

    with server(scoring(model(), almost)) as url:
        found = production.smoke_test(Asking(url), expected(), AT_ONCE)
    assert "over HTTP, and with" in told(found)["answers its example"]


def test_a_server_that_has_not_taken_the_release_over_fails_at_once() -> None:
    with server(model(), number=2) as url:
        found = production.smoke_test(Asking(url), expected(), AT_ONCE)
    assert told(found) == {"follows the ledger": "it serves release 2, the ledger is at 3"}
    assert len(found.checks) == 1


def test_a_server_that_is_behind_or_slow_fails() -> None:
    with server(model(), behind="the state is not known") as url:
        found = production.smoke_test(Asking(url), expected(longest=0.0), AT_ONCE)
    assert told(found)["is ready"] == "it is behind: the state is not known"
    assert "0 ms are allowed" in told(found)["answers its example"]


def test_a_server_with_keys_wants_one() -> None:
    with server(model(), access=Access(required=True)) as url:
        found = production.smoke_test(Asking(url), expected(), AT_ONCE)
    assert "set EVERFIT_KEY" in told(found)["follows the ledger"]


def test_where_nobody_answers_that_is_what_was_found() -> None:
    found = production.smoke_test(Asking("http://127.0.0.1:9"), expected(), AT_ONCE)
    assert not found.passed
    assert "nobody answers" in told(found)["follows the ledger"]


@pytest.mark.parametrize("url", ["ftp://a", "churn.example", "http://ann:secret@a", "http://a?key=secret"])
def test_what_is_no_address_of_a_server_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ProjectError) as caught:
        Asking(url)
    assert "secret" not in str(caught.value)


def test_the_ledger_keeps_what_was_found_and_nothing_moves(tmp_path: Path) -> None:
    state = SqliteState(tmp_path / "state.db")
    ledger.register(state, ModelVersion("churn", 1, "b", "run", NOW, {}), "ann", NOW)
    before = promotion.promote(state, 1, "ann", Rule(), at=NOW)
    with server(model(), number=2) as url:
        found = production.smoke_test(Asking(url), expected(), AT_ONCE)
    after = production.record(state, found, "bob", NOW)
    event = ledger.events(state)[-1]
    assert (event.kind, event.by, event.evidence["passed"]) == (EventKind.TESTED, "bob", False)
    assert "smoke test failed; follows the ledger: it serves release 2" in event.reason
    assert replace(after, number=before.number) == before
