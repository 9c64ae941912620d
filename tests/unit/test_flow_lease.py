"""One process at a time acts on a project by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import Conflict, StorageError
from everfit.flow import lease
from everfit.flow.lease import Lease, Turn
from everfit.records.codec import decode, encode


@pytest.fixture
def state(tmp_path: Path) -> SqliteState:
    return SqliteState(tmp_path / "state.db")


def other(state: SqliteState, **changes: object) -> Lease:
    """A lease of somebody else, just begun, on another machine unless said otherwise."""
    now = datetime.now(UTC)
    made = replace(Lease("them", "bob", "elsewhere", 7, now, now + lease.LENGTH), **changes)  # type: ignore[arg-type]
    state.append(lease.STREAM, encode(made))
    return made


def newest(state: SqliteState) -> Lease:
    found = state.last(lease.STREAM)
    assert found is not None
    return decode(Lease, found[1])


def test_a_turn_is_taken_kept_and_given_back(state: SqliteState) -> None:
    turn = Turn("ann")
    assert not turn.held()
    turn.keep(state)
    assert turn.held()
    turn.give(state)
    assert not turn.held()
    assert newest(state).ended
    Turn("bob").take(state)


def test_keeping_a_turn_writes_only_when_it_is_time_to_renew(state: SqliteState) -> None:
    turn = Turn("ann")
    for _ in range(5):
        turn.keep(state)
    assert len(state.read(lease.STREAM)) == 1
    turn._mine = replace(turn._mine, until=datetime.now(UTC) + lease.LENGTH - lease.RENEW)
    turn.keep(state)
    assert len(state.read(lease.STREAM)) == 2


def test_while_it_is_anothers_turn_one_is_told_whose(state: SqliteState) -> None:
    other(state)
    turn = Turn("ann")
    with pytest.raises(Conflict, match="process 7 on elsewhere, begun by bob"):
        turn.keep(state)
    assert not turn.held()
    lease.check_alone(state)  # on another machine one may stand by


def test_a_turn_is_over_at_its_deadline_with_a_minute_for_the_clocks(state: SqliteState) -> None:
    other(state, until=datetime.now(UTC) - timedelta(seconds=30))
    with pytest.raises(Conflict):
        Turn("ann").take(state)
    other(state, until=datetime.now(UTC) - timedelta(seconds=90))
    Turn("ann").take(state)


def test_the_turn_of_a_process_of_this_machine_that_is_gone_is_over(state: SqliteState) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    other(state, host=os.uname().nodename, pid=gone.pid)
    lease.check_alone(state)
    Turn("ann").take(state)


def test_a_second_process_on_one_machine_is_refused(state: SqliteState) -> None:
    other(state, host=os.uname().nodename, pid=os.getppid())
    with pytest.raises(Conflict, match="another process acts on this project") as told:
        lease.check_alone(state)
    assert "everfit serve" in told.value.fix


def test_a_turn_that_somebody_else_took_meanwhile_is_not_renewed(state: SqliteState) -> None:
    turn = Turn("ann")
    turn.take(state)
    other(state)
    with pytest.raises(Conflict):
        turn.take(state)


def test_of_two_that_take_at_once_one_wins(state: SqliteState, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Turn("ann"), Turn("bob")
    append = SqliteState.append

    def slow(self: SqliteState, stream: str, document: bytes, expect: int | None = None) -> int:
        monkeypatch.setattr(SqliteState, "append", append)
        second.take(state)
        return append(self, stream, document, expect)

    monkeypatch.setattr(SqliteState, "append", slow)
    with pytest.raises(Conflict):
        first.take(state)
    assert (first.held(), second.held()) == (False, True)


def test_giving_back_while_the_state_is_away_is_left_to_the_deadline(
    state: SqliteState, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = Turn("ann")
    turn.take(state)

    def away(*_: object, **__: object) -> int:
        raise StorageError("away")

    monkeypatch.setattr(SqliteState, "append", away)
    turn.give(state)
    assert not turn.held()
