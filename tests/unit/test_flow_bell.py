"""The bell of a machine: who listens is woken at once, nobody is waited for, and the dead are forgotten."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import Conflict
from everfit.flow.bell import Announced, Bell

LONG = 60.0  # seconds; whoever waits so long has heard nothing


@pytest.fixture
def bell(tmp_path: Path) -> Bell:
    return Bell(tmp_path / "bell")


def pipes(bell: Bell) -> list[Path]:
    return sorted(bell.folder.iterdir())


def test_everybody_who_waits_is_woken(bell: Bell) -> None:
    ears = [bell.listen() for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(ear.wait, LONG) for ear in ears]
        bell.ring()
        assert [wait.result(timeout=20) for wait in waits] == [True, True, True]
    for ear in ears:
        ear.close()


def test_a_ring_before_the_wait_is_not_lost_and_many_are_one(bell: Bell) -> None:
    ear = bell.listen()
    for _ in range(100):
        bell.ring()
    assert [ear.wait(LONG), ear.wait(0)] == [True, False]
    ear.close()


def test_a_pipe_that_is_full_holds_nobody_up(bell: Bell) -> None:
    ear = bell.listen()
    for _ in range(70_000):
        ear.wake()
    bell.ring()
    assert ear.wait(LONG)
    ear.close()


def test_a_bell_that_nobody_hears_rings(bell: Bell) -> None:
    bell.ring()
    assert not bell.folder.exists()


def test_the_pipe_of_a_killed_listener_is_removed_and_the_others_hear(bell: Bell) -> None:
    ear = bell.listen()
    dead = bell.folder / "dead.pipe"
    os.mkfifo(dead)
    bell.ring()
    assert dead not in pipes(bell)
    assert ear.wait(LONG)
    ear.close()
    assert pipes(bell) == []


def test_who_is_to_stop_is_woken_without_a_bell(bell: Bell) -> None:
    ear = bell.listen()
    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(ear.wait, LONG)
        ear.wake()
        assert wait.result(timeout=20)
    ear.close()


def test_where_there_are_no_pipes_the_wait_is_a_pause(bell: Bell, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, mode: int) -> None:
        raise PermissionError(f"no pipe at {path}, {mode:o}")

    monkeypatch.setattr(os, "mkfifo", refused)
    ear = bell.listen()
    bell.ring()
    assert not ear.wait(0)
    ear.wake()
    assert ear.wait(LONG)
    ear.close()


def test_a_store_rings_after_an_append_to_a_stream_that_is_followed(tmp_path: Path) -> None:
    rings = list[int]()
    inner = SqliteState(tmp_path / "state.db")
    state = Announced(inner, lambda: rings.append(len(inner.read("ledger"))), frozenset({"ledger"}))
    assert [state.append("ledger", b"{}"), state.append("runs", b"{}"), state.append("ledger", b"{}")] == [1, 1, 2]
    assert rings == [1, 2]
    with pytest.raises(Conflict):
        state.append("ledger", b"{}", expect=0)
    assert rings == [1, 2]
    assert (state.read("ledger", after=1), state.last("runs")) == ([(2, b"{}")], (1, b"{}"))
