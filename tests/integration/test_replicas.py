"""Servers on a state in PostgreSQL that is ended under them: no request fails, and they agree again afterwards."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from everfit.flow import ledger
from everfit.records.release import EventKind
from everfit.testing.churn import ENTITY
from tests.integration import projects
from tests.integration.projects import SmallProject
from tests.integration.servers import served
from tests.services.postgres import Postgres, absent, postgres

_DEADLINE = 60.0


@pytest.fixture
def server() -> Iterator[Postgres]:
    if reason := absent():
        pytest.skip(reason)
    with postgres() as running:
        yield running


def second(project: SmallProject) -> None:
    """Lets a version 2 follow version 1 as champion; its bundle is the same."""
    workspace = project.open("release.strategy=immediate")
    made = ledger.versions(workspace.ports.state)[1]
    ledger.register(workspace.ports.state, replace(made, version=2), "ann")
    workspace.release(2)


@pytest.fixture
def project(trained: SmallProject, server: Postgres, monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    """Version 1 was champion before version 2, and PostgreSQL knows it."""
    made = ledger.versions(trained.open().ports.state)[1]
    monkeypatch.setenv("STATE", server.url())
    trained.file.write_text(trained.file.read_text() + "backends: {state: '${STATE}'}\n")
    workspace = trained.open()
    ledger.register(workspace.ports.state, made, "ann")
    workspace.release(1)
    second(trained)
    return trained


class Traffic:
    """Asks without a pause, and counts what is answered."""

    def __init__(self, client: httpx.Client, customer: str) -> None:
        self._client, self._customer = client, customer
        self.statuses: Counter[int] = Counter()
        self.version = 0

    def ask(self) -> None:
        answer = self._client.post("/predict", json={ENTITY: self._customer})
        self.statuses[answer.status_code] += 1
        self.version = answer.json().get("version", 0)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Goes on asking until it holds."""
        deadline = time.monotonic() + _DEADLINE
        while not holds():
            assert time.monotonic() < deadline, what
            self.ask()

    def behind(self) -> str:
        return str(self._client.get("/ready").json().get("behind", ""))


@contextmanager
def replicas(project: SmallProject, count: int) -> Iterator[list[Traffic]]:
    """Servers of the project, with somebody who asks each."""
    customer = str(projects.customers(1)[ENTITY][0])
    with ExitStack() as stack:
        yield [Traffic(stack.enter_context(served(project)), customer) for _ in range(count)]


def test_replicas_keep_answering_while_the_database_is_gone_and_agree_when_it_is_back(
    project: SmallProject, server: Postgres
) -> None:
    with replicas(project, 2) as (one, two):
        one.until(lambda: one.version == 2, "the champion answers")
        server.stop(crash=True)
        for traffic in (one, two):
            traffic.until(lambda: "the last route table goes on" in traffic.behind(), "it says so")  # noqa: B023
            traffic.ask()
        assert (one.version, two.version) == (2, 2)
        server.start()
        project.open().rollback()
        one.until(lambda: one.version == 1, "the first replica follows")
        two.until(lambda: two.version == 1, "the second replica follows")
        one.until(lambda: not one.behind(), "nothing is behind")
        assert one.statuses.keys() | two.statuses.keys() == {200}


def test_rollback_works_while_the_database_is_gone_and_reaches_the_ledger_afterwards(
    project: SmallProject, server: Postgres
) -> None:
    with replicas(project, 1) as (traffic,):
        traffic.until(lambda: traffic.version == 2, "the champion answers")
        server.stop()
        outcome = project.call("rollback", "--by", "ann", "--reason", "complaints")
        assert outcome.code == 0, outcome.err
        assert "this machine's servers go back at once" in outcome.out + outcome.err
        assert "Version 1 is champion" in outcome.out
        traffic.until(lambda: traffic.version == 1, "the order is obeyed")
        server.start()
        traffic.until(lambda: not traffic.behind(), "the store is back")
        assert traffic.statuses.keys() == {200}
    *_, last = ledger.events(project.open().ports.state)
    assert (last.kind, last.version, last.by, last.evidence["emergency"]) == (EventKind.ROLLED_BACK, 2, "ann", True)


def test_a_server_starts_without_the_database_on_what_it_served_last(project: SmallProject, server: Postgres) -> None:
    with replicas(project, 1) as (traffic,):
        traffic.until(lambda: traffic.version == 2, "the champion answers")
    server.stop()
    with replicas(project, 1) as (traffic,):
        traffic.ask()
        assert (traffic.version, traffic.statuses) == (2, {200: 1})
        assert "the last route table goes on" in traffic.behind()


def test_rollback_works_with_a_damaged_state_file(released: SmallProject) -> None:
    second(released)
    state: Path = released.store / "state.db"
    with served(released) as client:
        for path in (state, state.with_name("state.db-wal"), state.with_name("state.db-shm")):
            path.unlink(missing_ok=True)
        state.write_bytes(b"no database at all " * 300)
        outcome = released.call("rollback")
        assert outcome.code == 0, outcome.err
        traffic = Traffic(client, str(projects.customers(1)[ENTITY][0]))
        traffic.until(lambda: traffic.version == 1, "the order is obeyed")
        assert traffic.statuses.keys() == {200}
