"""A decision to retrain carried out, and remembered whatever comes of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import EverfitError, GateFailed, ReleaseError
from everfit.flow import ledger, release, retraining
from everfit.flow.run import RUNS
from everfit.project.sections.release import Release
from everfit.records.codec import encode
from everfit.records.model import ModelVersion
from everfit.records.run import RunRecord, Status
from everfit.records.watch import AlarmKind, Decision, Trigger

NOW = datetime(2026, 1, 1, tzinfo=UTC)
YES = Decision(NOW, True, Trigger.DRIFT, ("3 columns drifted", "the last one was long ago"))
NO = Decision(NOW, False, None, ("nothing moved",))


@pytest.fixture
def state(tmp_path: Path) -> SqliteState:
    return SqliteState(tmp_path / "state.db")


def raising(error: Exception) -> Callable[..., int]:
    def function(*_: object) -> int:
        raise error

    return function


def test_no_trains_nothing_and_writes_nothing(state: SqliteState) -> None:
    done = retraining.act(state, NO, raising(AssertionError()), raising(AssertionError()))
    assert (done.retrained, done.reason) == (False, "nothing moved")
    assert retraining.history(state) == []


def test_yes_trains_and_releases(state: SqliteState) -> None:
    released: list[int] = []
    done = retraining.act(state, YES, lambda since: 7, released.append)
    assert (done.version, done.deployed, done.error, released) == (7, True, None, [7])
    assert done.reason == "3 columns drifted; the last one was long ago"
    assert retraining.history(state) == [done]
    assert retraining.failure(done) == ()


def test_the_beginning_is_written_before_the_training_so_that_a_killed_one_counts(state: SqliteState) -> None:
    with pytest.raises(KeyboardInterrupt):
        retraining.act(state, YES, raising(KeyboardInterrupt()), lambda version: None)  # type: ignore[arg-type]  # a kill
    (begun,) = retraining.history(state)
    assert (begun.retrained, begun.version, begun.deployed) == (True, None, False)
    again = retraining.unfinished(state)
    assert again is not None
    assert (again.at, again.retrain) == (NOW, True)


@pytest.mark.parametrize("error", [GateFailed("1 of 2 gates failed"), ReleaseError("another is under way")])
def test_what_everfit_refuses_is_recorded_and_is_an_alarm(state: SqliteState, error: EverfitError) -> None:
    train = raising(error) if isinstance(error, GateFailed) else lambda since: 7
    done = retraining.act(state, YES, train, raising(error))
    assert (done.deployed, done.error, done.exit_code) == (False, str(error), error.exit_code)
    assert done.version == (None if isinstance(error, GateFailed) else 7)
    (alarm,) = retraining.failure(done)
    assert alarm.kind is AlarmKind.FAILURE
    assert error.what in alarm.message
    assert retraining.unfinished(state) is None


def test_each_retraining_is_shown_once_as_it_was_last_written(state: SqliteState) -> None:
    later = Decision(NOW + timedelta(days=1), True, Trigger.SCHEDULE, ("due",))
    for decision in (YES, later):
        retraining.act(state, decision, lambda since: 7, lambda version: None)
    assert [one.at for one in retraining.history(state)] == [NOW, later.at]
    assert all(one.deployed for one in retraining.history(state))


def test_a_retraining_that_fails_while_its_process_is_stopped_is_left_to_be_resumed(state: SqliteState) -> None:
    retraining.act(state, YES, raising(GateFailed("a worker died")), lambda version: None, stopped=lambda: True)
    assert retraining.unfinished(state) is not None


def test_nothing_is_unfinished_while_a_run_is_under_way(state: SqliteState) -> None:
    retraining.act(state, YES, raising(GateFailed("a worker died")), lambda version: None, stopped=lambda: True)
    state.append(RUNS, encode(RunRecord("r", "training", Status.RUNNING, datetime.now(UTC), pid=os.getpid())))
    assert retraining.unfinished(state) is None


def test_without_any_there_is_nothing_unfinished(state: SqliteState) -> None:
    assert retraining.unfinished(state) is None


@pytest.mark.parametrize("settings", [Release(strategy="immediate"), Release()], ids=["immediate", "canary"])
def test_one_that_was_killed_after_its_release_is_not_released_again_nor_called_a_failure(
    state: SqliteState, settings: Release
) -> None:
    for version in (1, 2):
        made = ModelVersion("churn", version, "", "run", NOW, {})
        ledger.register(state, made, "ann", NOW)
    release.start(state, settings, "ann", 1, at=NOW - timedelta(days=1))

    def killed(version: int) -> None:
        release.start(state, settings, "ann", version, at=NOW + timedelta(minutes=9))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retraining.act(state, YES, lambda since: 2, killed)
    again = retraining.unfinished(state)
    assert again is not None
    done = retraining.act(state, again, lambda since: 2, lambda v: release.start(state, settings, "ann", v, at=NOW))
    assert (done.version, done.deployed, done.error) == (2, True, None)


def test_a_champion_trained_again_is_still_a_retraining_that_released_nothing(state: SqliteState) -> None:
    ledger.register(state, ModelVersion("churn", 1, "", "run", NOW, {}), "ann", NOW - timedelta(days=2))
    release.start(state, Release(), "ann", 1, at=NOW - timedelta(days=1))
    done = retraining.act(state, YES, lambda since: 1, lambda v: release.start(state, Release(), "ann", v, at=NOW))
    assert (done.deployed, done.error is None) == (False, False)
