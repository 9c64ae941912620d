"""`everfit up` and its like as processes, and somebody who asks them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from everfit.testing.churn import ENTITY, TARGET, TIME
from tests.integration.projects import ENVIRONMENT, SmallProject

_BATCH = 50


@dataclass
class Running:
    """A command that goes on, with what it has printed so far; a line of JSON a happening."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def happened(self, kind: str) -> list[Any]:
        """What was printed under that name, oldest first."""
        lines = [json.loads(line) for line in self.out.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line[kind] for line in lines if kind in line]

    def url(self) -> str:
        """Where it answers, as soon as it does."""
        until(lambda: bool(self.happened("url")), "the server answers", self)
        return str(self.happened("url")[0])

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 120) -> int:
        """Its exit code after the signal."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def running(project: SmallProject, *arguments: str, name: str = "command") -> Iterator[Running]:
    """`everfit ARGUMENTS --json` as a process until the end of the block."""
    out, err = project.folder / f"{name}.out", project.folder / f"{name}.err"
    command = [sys.executable, "-c", "from everfit.cli.main import main; main()", *arguments, "--json"]
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(command, cwd=project.folder, env=ENVIRONMENT, stdout=stdout, stderr=stderr)
        try:
            yield Running(process, out, err)
        finally:
            process.kill()
            process.wait()


def until(holds: Callable[[], bool], what: str, command: Running, seconds: float = 300) -> None:
    """Returns when it holds. AssertionError when it does not in time, or the command ended before."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert command.process.poll() is None, f"ended before {what}: {command.err.read_text()}"
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}\n{command.err.read_text()}"
        time.sleep(0.02)


@dataclass
class Caller:
    """Asks a server about customers, and tells it at once what became of them."""

    url: str
    ids: list[str] = field(default_factory=list)
    arms: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)

    def get(self, path: str) -> Any:
        return self._told(httpx.get(self.url + path, timeout=30))

    def ask(self, customers: pl.DataFrame) -> None:
        """Predictions in batches, then the labels of each."""
        for batch in customers.iter_slices(_BATCH):
            rows = batch.drop(TARGET, TIME).to_dicts()
            answers = self._post("/predict", {"rows": rows})["predictions"]
            assert [answer[ENTITY] for answer in answers] == batch[ENTITY].to_list()
            ids = [answer["id"] for answer in answers]
            self.ids += ids
            self.arms.update(answer["arm"] for answer in answers)
            truths = zip(ids, batch[TARGET], strict=True)
            self._post("/feedback", {"labels": [{"prediction_id": i, "value": v} for i, v in truths]})

    def _post(self, path: str, body: Any) -> Any:
        return self._told(httpx.post(self.url + path, json=body, timeout=30))

    def _told(self, answer: httpx.Response) -> Any:
        self.statuses[answer.status_code] += 1
        assert answer.status_code < 500, answer.text
        return answer.json()
