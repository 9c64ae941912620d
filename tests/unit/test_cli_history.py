"""`everfit history` shows the ledger, verifies it, and says who was champion when."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.cli_project import NOW, call, project, register, start

from everfit.flow import ledger, quality
from everfit.flow.monitoring import LOOKS
from everfit.records.codec import encode
from everfit.records.quality import FailedCheck, Origin, QualityLook
from everfit.records.table import Severity
from everfit.records.watch import Decision, MonitorReport
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


def test_the_quality_of_windows_and_runs_is_a_table_in_the_order_of_time(ports: Ports, capsys: Capture) -> None:
    empty = FailedCheck("nulls", "age", Severity.WARNING, "12.00%", "at most 5.00%", 0.12)
    of_run = QualityLook(NOW, Origin.RUN, 7_043, 1.0, 40, (), 0.001, "r1")
    looked = replace(of_run, at=NOW + timedelta(hours=1), origin=Origin.PREDICTIONS, about="1", failed=(empty,))
    decision = Decision(NOW, False, None, ())
    ports.state.append(LOOKS, encode(MonitorReport(looked.at, 9, None, None, None, (), decision, quality=looked)))
    quality.remember(ports.state, of_run)
    out = call(capsys, "history", "--quality").out
    assert out.index("run r1") < out.index("version 1")
    assert "39 of 40" in out
    assert "nulls age: 12.00%" in out
    assert [one["about"] for one in call(capsys, "history", "--quality", "--json").json] == ["r1", "1"]


def test_quality_is_not_about_a_version_of_the_ledger(ports: Ports, capsys: Capture) -> None:
    assert call(capsys, "history", "--quality", "--version", "1").code == 64


def test_nothing_checked_yet_is_said(ports: Ports, capsys: Capture) -> None:
    assert "Nothing was checked yet" in call(capsys, "history", "--quality").out
