"""The runner: at once where steps are independent, once where nothing changed, and plain about what went wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.flow_places import Place, named, status

from everfit.errors import SourceError, StepFailed, StorageError
from everfit.flow import artifact
from everfit.flow.graph import graph, step
from everfit.flow.run import RUNS, Given, Runner, _Walk, runs, setting
from everfit.records.codec import encode
from everfit.records.run import RunRecord, Status, StepRecord

CALLS: list[str] = []
BARRIER = threading.Barrier(2)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    CALLS.clear()
    BARRIER.reset()
    return Place(tmp_path)


def left() -> int:
    return BARRIER.wait(timeout=20) * 0 + 1


def right() -> int:
    return BARRIER.wait(timeout=20) * 0 + 2


def both(left: int, right: int) -> int:
    return left + right


def first(number: int) -> int:
    CALLS.append("first")
    return number


def refusing(first: int) -> int:
    raise SourceError("no such table", where="t.csv", fix="name another")


def dividing(first: int) -> float:
    return first / 0


def leaving(first: int) -> int:
    sys.exit("a feature function that ends the process")


def interrupted(first: int) -> int:
    raise KeyboardInterrupt


def after(dividing: float) -> float:
    return dividing


def full(first: int, into: Path) -> Path:
    (into / "half.bin").write_bytes(b"half")
    raise OSError(28, "No space left on device")


def untold(first: int) -> int:
    return "text"  # type: ignore[return-value]  # the declared type is wrong on purpose


def files(first: int, into: Path) -> Path:
    (into / "a").mkdir()
    (into / "a" / "numbers.txt").write_text(str(first))
    return into


def reading(files: Path) -> str:
    return (files / "a" / "numbers.txt").read_text()


def array(number: int) -> np.ndarray[Any, Any]:
    return np.arange(number)


def test_independent_steps_run_at_once(place: Place) -> None:
    # Each waits for the other within the step: one after the other they would never end.
    assert place.run(step(left), step(right), step(both))["both"] == 3


def test_a_run_and_its_steps_are_recorded(place: Place) -> None:
    record = place.run(step(first), number=4).record
    assert place.last() == record
    assert (record.status, record.pid, record.error) == (Status.DONE, os.getpid(), None)
    assert record.ended_at is not None
    assert record.ended_at >= record.started_at
    assert place.told.steps == [("first", "running"), ("first", "done")]


def test_whoever_asks_is_told_what_stopped_a_run_and_given_what_it_made(place: Place) -> None:
    told: list[tuple[object, str]] = []
    runner = Runner(place.artifacts, place.state, place.told, place.scratch, ("everfit", "tests"))
    with pytest.raises(StepFailed):
        runner.run(
            graph([step(first), step(dividing)], ["number"]),
            {"number": setting(4)},
            pipeline="test",
            stopped=lambda run, error: told.append((run["first"], type(error).__name__)),
        )
    assert told == [(place.run(step(first), number=4)["first"], "StepFailed")]


def test_a_failing_step_skips_what_comes_after_and_is_recorded(place: Place) -> None:
    with pytest.raises(StepFailed):
        place.run(step(first), step(dividing), step(after), number=4)
    record = place.last()
    assert record.status is Status.FAILED
    assert status(record) == {"first": "done", "dividing": "failed", "after": "skipped"}
    assert "division by zero" in named(record)["dividing"].why
    assert "division by zero" in (record.error or "")


def test_an_exception_that_is_not_everfits_names_step_file_and_line(place: Place) -> None:
    with pytest.raises(StepFailed, match="ZeroDivisionError: division by zero") as caught:
        place.run(step(first), step(dividing), number=4)
    line = dividing.__code__.co_firstlineno + 1
    assert caught.value.where == f"step dividing ({__file__}:{line})"


def test_an_error_of_everfits_own_arrives_as_it_is(place: Place) -> None:
    with pytest.raises(SourceError, match="no such table"):
        place.run(step(first), step(refusing), number=4)
    assert status(place.last())["refusing"] == "failed"


def test_a_step_cannot_end_the_process(place: Place) -> None:
    with pytest.raises(StepFailed, match="SystemExit: a feature function that ends the process"):
        place.run(step(first), step(leaving), number=4)
    assert status(place.last())["leaving"] == "failed"


def test_steps_that_ended_are_kept_when_a_later_one_fails(place: Place) -> None:
    with pytest.raises(StepFailed):
        place.run(step(first), step(dividing), number=4)
    place.run(step(first), number=4)
    assert CALLS == ["first"]
    assert status(place.last()) == {"first": "cached"}


def test_a_full_disk_is_a_storage_error_and_leaves_nothing(place: Place) -> None:
    before = sorted(place.artifacts._root.glob("??/*"))
    with pytest.raises(StorageError, match="No space left on device") as caught:
        place.run(step(first), step(full), number=4)
    assert "finished steps are kept" in caught.value.fix
    assert list(place.scratch.iterdir()) == []
    assert len(sorted(place.artifacts._root.glob("??/*"))) == len(before) + 1


def test_an_output_is_loaded_when_it_is_asked_for_and_not_before(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []
    monkeypatch.setattr(artifact, "load", lambda kind, folder: loaded.append(kind))
    run = place.run(step(array), number=3)
    assert loaded == []
    run["array"]
    run["array"]
    assert loaded == [np.ndarray[Any, Any]]


def test_what_a_step_gets_is_what_was_stored(place: Place) -> None:
    run = place.run(step(array), number=3)
    assert run["array"].tolist() == [0, 1, 2]
    assert not run["array"].flags.writeable


def test_a_folder_travels_as_it_was_written(place: Place) -> None:
    assert place.run(step(first), step(files), step(reading), number=7)["reading"] == "7"
    assert list(place.scratch.iterdir()) == []


def test_an_output_that_vanishes_during_the_run_is_told(place: Place) -> None:
    run = place.run(step(array), number=3)
    (place.artifacts._root / run.record.steps[0].output[:2] / run.record.steps[0].output / "array.npy").unlink()
    with pytest.raises(StorageError, match="the output of step array vanished"):
        run["array"]


def test_an_interrupted_run_says_so_while_its_process_lives(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everfit.flow.run._Walk.go", lambda self: interrupted(1))
    with pytest.raises(KeyboardInterrupt):
        place.run(step(first), number=1)
    assert (place.last().status, place.last().error) == (Status.FAILED, "interrupted")


@pytest.mark.parametrize(("hours", "status"), [(1, Status.RUNNING), (25, Status.FAILED)])
def test_a_run_of_another_machine_counts_as_under_way_for_a_day(place: Place, hours: int, status: Status) -> None:
    begun = datetime.now(UTC) - timedelta(hours=hours)
    place.state.append(RUNS, encode(RunRecord("r1", "test", Status.RUNNING, begun, pid=1, host="elsewhere")))
    assert place.last().status is status


def test_a_run_whose_process_is_gone_is_shown_as_failed(place: Place) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    place.state.append(RUNS, encode(RunRecord("r1", "test", Status.RUNNING, datetime.now(UTC), pid=process.pid)))
    assert (place.last().status, place.last().error) == (Status.FAILED, "interrupted: its process is gone")


def test_a_later_process_under_the_same_number_is_another(place: Place) -> None:
    begun = RunRecord("r1", "test", Status.RUNNING, datetime(2020, 1, 1, tzinfo=UTC), pid=os.getpid())
    place.state.append(RUNS, encode(begun))
    assert place.last().status is Status.FAILED


def test_a_run_under_way_is_shown_as_running(place: Place) -> None:
    begun = RunRecord("r1", "test", Status.RUNNING, datetime.now(UTC), pid=os.getpid())
    place.state.append(RUNS, encode(begun))
    assert place.last().status is Status.RUNNING
    place.state.append(RUNS, encode(replace(begun, status=Status.DONE)))
    assert [record.status for record in runs(place.state)] == [Status.DONE]


def test_what_a_killed_run_left_half_written_is_swept_and_a_living_ones_is_not(place: Place) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    dead, alive = place.scratch / f"{process.pid}-abc", place.scratch / f"{os.getpid()}-abc"
    for folder in (dead, alive):
        folder.mkdir(parents=True)
    place.run(step(first), number=1)
    assert (dead.exists(), alive.exists()) == (False, True)


def test_a_value_from_outside_that_does_not_affect_results_is_no_part_of_the_key(place: Place) -> None:
    place.run(step(first), number=Given(1, "one"))
    assert status(place.run(step(first), number=Given(2, "one")).record) == {"first": "cached"}


def test_a_step_that_returns_another_type_than_it_says_fails(place: Place) -> None:
    with pytest.raises(StepFailed, match="Expected `int`") as caught:
        place.run(step(first), step(untold), number=1)
    assert caught.value.where.startswith("step untold")


def test_a_step_of_another_run_that_ends_while_this_one_begins_is_no_trouble(place: Place) -> None:
    place.scratch.mkdir()
    (place.scratch / f"{os.getpid()}-ended").symlink_to(place.scratch / "gone")  # listed, and not there when looked at
    assert place.run().record.status is Status.DONE


def numbers(length: int) -> np.ndarray[Any, Any]:
    return np.arange(length)


def counted(numbers: np.ndarray[Any, Any]) -> int:
    return len(numbers)


def squared(counted: int) -> int:
    return counted**2


def test_what_no_step_takes_any_more_is_not_kept_in_memory(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[list[str]] = []
    report = _Walk._report

    def watched(walk: _Walk, record: StepRecord) -> None:
        held.append(sorted(walk._values))
        report(walk, record)

    monkeypatch.setattr(_Walk, "_report", watched)
    run = place.run(step(numbers), step(counted), step(squared), threads=1, length=3)
    assert held == [["length"]] * 3
    assert run["counted"] == 3
