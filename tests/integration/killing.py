"""Runs that are killed, and what must hold of a project's files whatever happened to it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from everfit.adapters import content
from everfit.records.release import EventKind
from everfit.records.run import Status
from tests.integration import projects, zygote
from tests.integration.projects import SmallProject


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, or minus the signal; the steps that it said had ended; how long it took."""

    pid: int
    code: int
    steps: frozenset[str]
    seconds: float
    errors: str


class Zygote:
    """Processes that run `everfit run` at once, without the seconds that importing takes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(zygote.__file__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=projects.ENVIRONMENT,
        )

    def close(self) -> None:
        self._process.communicate(timeout=300)

    def run(self, project: SmallProject, *arguments: str, kill_after: float | None = None) -> Ended:
        """`everfit run`, its whole process group killed after so many seconds unless it is at its end by then."""
        errors = project.folder / "errors.txt"
        self._tell([["run", "--project", str(project.file), *arguments], str(errors)])
        pid, started = self._answer(), time.perf_counter()
        if kill_after is not None:
            time.sleep(kill_after)
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        code = self._answer()
        lines = [line.split() for line in errors.read_text().splitlines()]
        steps = frozenset(words[1] for words in lines if words[:1] in (["done"], ["cached"]))
        return Ended(pid, code, steps, time.perf_counter() - started, errors.read_text())

    def _tell(self, order: list[object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def check_files(store: Path) -> None:
    """Every artifact is what its name says, nothing is left of what was under way, every database is whole."""
    artifacts = store / "artifacts"
    for place in artifacts.glob("[0-9a-f][0-9a-f]/*"):
        assert content.digest(place, content.files(place)) == place.name
    for folder in ("incoming", "damaged"):
        assert list((artifacts / folder).glob("*")) == []
    assert list((store / "scratch").glob("*")) == []
    assert list(store.glob("*.unfinished*")) == []
    for database in store.glob("*.db"):
        with closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",), database.name


def check_versions(project: SmallProject) -> None:
    """One version a bundle, the same in the ledger and the registry, each with one tracking run that ended."""
    registered = [event for event in project.events() if event.kind is EventKind.REGISTERED]
    bundles = {event.version: event.evidence["bundle"] for event in registered}
    assert Counter(bundles.values()).most_common(1)[0][1] == 1
    assert len(bundles) == len(registered)
    versions = project.open().ports.registry.versions()
    assert {made.version: made.bundle_hash for made in versions} == bundles
    with closing(sqlite3.connect(project.store / "mlflow.db")) as connection:
        statuses = dict(connection.execute("SELECT run_uuid, status FROM runs").fetchall())
    assert {statuses[made.run_id] for made in versions} == {"FINISHED"}
    assert "RUNNING" not in statuses.values()


def check_resumed(project: SmallProject, killed: Ended) -> None:
    """The killed run is shown as failed, and the one after it took from the cache all that had ended by then."""
    before, after = project.runs()[-2:]
    assert (before.pid, before.status) == (killed.pid, Status.FAILED)
    assert "its process is gone" in (before.error or "")
    assert after.status is Status.DONE
    cached = {step.name for step in after.steps if step.status is Status.CACHED}
    assert killed.steps - {"version"} <= cached
