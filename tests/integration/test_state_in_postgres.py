"""The loop with its state in PostgreSQL: the same commands, one line of configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

import pytest

from everfit.adapters.state.postgres import PostgresConfig, PostgresState
from everfit.flow import alerting, ledger, monitoring
from everfit.flow.run import RUNS
from tests.integration import projects
from tests.integration.projects import SmallProject
from tests.services.postgres import Postgres

SETTINGS = projects.SETTINGS + "backends: {state: '${STATE}'}\n"


@pytest.fixture
def project(
    project: Callable[..., SmallProject], postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> SmallProject:
    address = postgres_server.create(f"loop_{token_hex(4)}")
    monkeypatch.setenv("STATE", address.replace("+psycopg2", ""))
    return project(settings=SETTINGS)


def test_the_whole_loop_runs_on_it_and_keeps_nothing_of_it_in_files(
    project: SmallProject, postgres_server: Postgres
) -> None:
    said = []
    for command in (["run"], ["release"], ["predict", str(project.table)], ["monitor"], ["rollback"], ["status"]):
        outcome = project.call(*command)
        assert outcome.code == (9 if command == ["rollback"] else 0), (command, outcome.err)
        said.append(outcome.out + outcome.err)
    history = json.loads(project.call("history", "--json").out)
    assert [event["kind"] for event in history][-1] == "promoted"
    state = PostgresState(PostgresConfig(os.environ["STATE"], "churn/dev"))
    assert [event.number for event in ledger.events(state)] == [event["number"] for event in history]
    assert all(state.last(stream) for stream in (RUNS, monitoring.LOOKS))
    assert alerting.history(state) == alerting.history(project.open().ports.state)
    assert not (project.store / "state.db").exists()
    assert f"postgresql://127.0.0.1:{postgres_server.port}/" in said[-1]
    assert postgres_server.password not in "".join(said)
    assert [path for path in _files(project.store) if postgres_server.password.encode() in path.read_bytes()] == []


def test_a_database_that_is_away_is_told_in_a_message(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE", "postgresql://everfit:hush-hush@127.0.0.1:1/everfit")
    outcome = project.call("history")
    assert outcome.code == 8
    assert "PostgreSQL" in outcome.err
    assert "fix:" in outcome.err
    assert "hush-hush" not in outcome.err


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
