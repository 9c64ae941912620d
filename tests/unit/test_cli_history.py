"""`everfit history` shows the ledger, verifies it, and says who was champion when."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.cli_project import NOW, call, project, register, start

from everfit.flow import ledger
from everfit.wiring import Ports

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ports:
    found = project(tmp_path, monkeypatch)
    for version in (1, 2):
        register(found, version)
        start(found)
    return found


def test_every_event_is_a_line_with_its_reason(ports: Ports, capsys: Capture) -> None:
    answer = call(capsys, "history")
    assert answer.code == 0
    lines = [line.split()[3:6] for line in answer.out.splitlines() if line[:1].isdigit()]
    assert lines == [
        ["registered", "1", "ann"],
        ["promoted", "1", "ann"],
        ["registered", "2", "ann"],
        ["released", "2", "ann"],
    ]
    assert "4 events" in answer.out


def test_json_is_the_ledger(ports: Ports, capsys: Capture) -> None:
    events = call(capsys, "history", "--json").json
    assert [event["number"] for event in events] == [1, 2, 3, 4]
    assert events[3]["evidence"]["steps"]


@pytest.mark.parametrize(("hours", "champion"), [(-48, None), (48, 1)])
def test_the_champion_at_a_time_is_named(ports: Ports, capsys: Capture, hours: int, champion: int | None) -> None:
    at = (NOW + timedelta(hours=hours)).isoformat()
    assert call(capsys, "history", "--at", at, "--json").json["champion"] == champion
    said = "Nobody was champion" if champion is None else "Version 1 was champion"
    assert said in call(capsys, "history", "--at", at).out


def test_a_time_without_a_zone_is_utc(ports: Ports, capsys: Capture) -> None:
    assert call(capsys, "history", "--at", "2026-11-01", "--json").json["at"] == "2026-11-01T00:00:00Z"


def test_what_is_no_time_is_wrong_usage(ports: Ports, capsys: Capture) -> None:
    answer = call(capsys, "history", "--at", "yesterday")
    assert answer.code == 64
    assert "2026-11-01T12:00" in answer.err


def test_a_changed_history_is_refused(ports: Ports, capsys: Capture) -> None:
    with sqlite3.connect(ports.folder / "state.db") as connection:
        query = "UPDATE documents SET document = replace(document, 'ann', 'eve') WHERE stream = ? AND number = 2"
        connection.execute(query, (ledger.STREAM,))
    connection.close()
    answer = call(capsys, "history")
    assert answer.code == 8
    assert "event 3 does not follow" in answer.err
    assert ("3 ✗" in answer.out, "2 ✗" in answer.out) == (True, False)


def test_a_fresh_project_has_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    ports = project(tmp_path, monkeypatch)
    assert "Next: everfit run" in call(capsys, "history").out
    assert call(capsys, "history", "--json").json == []
    assert not ports.folder.exists()
