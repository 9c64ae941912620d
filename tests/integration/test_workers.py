"""Several workers behind one port: they agree on the release, outlive each other, and lose nothing answered."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import numpy as np
import pytest
from tritonclient import grpc as triton

from everfit.flow import ledger
from everfit.records.model import ModelVersion
from everfit.testing.churn import TARGET, TIME
from tests.integration.projects import START, SmallProject, customers
from tests.integration.running import running, until

SERVE = ("serve", "--port=0", "--set=serving.workers=2", "--set=serving.refresh=0.1s")


def rows() -> list[dict[str, object]]:
    return customers(40, seed=3, first=1_000).drop(TARGET, TIME).to_dicts()


def children(parent: int) -> set[int]:
    """The worker processes of a supervisor."""
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    named = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found if Path(f"/proc/{pid}").exists()}
    return {pid for pid, line in named.items() if b"--worker" in line}


class Traffic:
    """Four callers with connections of their own, until they are stopped."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stop = Event()
        self.answered: list[str] = []
        self.versions: Counter[int] = Counter()
        self.broken = 0
        self.refused: list[str] = []

    def call(self, patient: bool) -> None:
        """Asks on; a connection that breaks counts, and is opened again where the caller is patient."""
        given = rows()
        while not self.stop.is_set():
            with httpx.Client(base_url=self.url, timeout=30) as client:
                try:
                    while not self.stop.is_set():
                        self._ask(client, given[len(self.answered) % len(given)])
                except httpx.TransportError:
                    self.broken += 1
                    if not patient:
                        raise

    def _ask(self, client: httpx.Client, row: dict[str, object]) -> None:
        answer = client.post("/predict", json=row)
        if answer.status_code != 200:
            self.refused.append(answer.text)
            return
        self.answered.append(answer.json()["id"])
        self.versions[answer.json()["version"]] += 1


def logged(project: SmallProject) -> set[str]:
    return set(project.open().ports.log.frame(["id"])["id"])


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_a_killed_worker_costs_no_answer_and_is_replaced(released: SmallProject, number: signal.Signals) -> None:
    with running(released, *SERVE) as server, ThreadPoolExecutor(4) as pool:
        traffic = Traffic(server.url())
        callers = [pool.submit(traffic.call, True) for _ in range(4)]
        first = children(server.process.pid)
        assert len(first) == 2
        until(lambda: len(traffic.answered) > 50, "answers", server)
        os.kill(min(first), signal.SIGKILL)
        until(lambda: len(children(server.process.pid) - first) == 1, "another worker", server)
        before = len(traffic.answered)
        until(lambda: len(traffic.answered) > before + 50, "further answers", server)
        traffic.stop.set()
        for caller in callers:
            caller.result()
        counted = httpx.get(f"{traffic.url}/metrics").text
        assert server.end(number) == 0
    assert traffic.refused == []
    assert set(traffic.answered) <= logged(released)
    line = next(line for line in counted.splitlines() if line.startswith("predictions_total"))
    assert float(line.split()[-1]) >= len(traffic.answered)


def test_a_release_under_load_reaches_every_worker_without_a_dropped_request(released: SmallProject) -> None:
    workspace = released.open()
    state = workspace.ports.state
    made = ledger.versions(state)[1]
    again = ModelVersion(made.name, 2, made.bundle_hash, "again", START, made.metrics)
    with running(released, *SERVE) as server, ThreadPoolExecutor(4) as pool:
        traffic = Traffic(server.url())
        callers = [pool.submit(traffic.call, False) for _ in range(4)]
        until(lambda: traffic.versions[1] > 50, "answers", server)
        ledger.register(state, again, "ann", START)
        released.open("release.strategy=immediate").release(2)
        until(lambda: traffic.versions[2] > 100, "version 2 answers", server)
        old = traffic.versions[1]
        until(lambda: traffic.versions[2] > 200, "version 2 answers all", server)
        traffic.stop.set()
        for caller in callers:
            caller.result()
        assert server.end() == 0
    assert (traffic.refused, traffic.broken) == ([], 0)
    assert traffic.versions[1] - old < 50
    assert set(traffic.answered) == logged(released)


def ask_by_grpc(port: int, row: dict[str, object]) -> str:
    """The id of a prediction over a connection of its own."""
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as asking:
        given = []
        for column in asking.get_model_metadata("churn").inputs:
            value = row[column.name]
            kind, dtype = ("BYTES", np.object_) if isinstance(value, str) else ("FP64", np.float64)
            given.append(triton.InferInput(column.name, [1], kind))
            given[-1].set_data_from_numpy(np.array([value], dtype=dtype))
        return str(asking.infer("churn", given).as_numpy("id")[0].decode())


def test_workers_share_the_port_of_the_inference_protocol(released: SmallProject) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(released, *SERVE, f"--set=serving.grpc.port={port}") as server:
        server.url()
        answered = {ask_by_grpc(port, row) for row in rows()[:5]}
        first = children(server.process.pid)
        os.kill(min(first), signal.SIGKILL)
        until(lambda: len(children(server.process.pid) - first) == 1, "another worker", server)
        answered |= {ask_by_grpc(port, row) for row in rows()[:5]}
        assert server.end() == 0
    assert len(answered) == 10
    assert answered <= logged(released)


def test_workers_answer_for_several_projects(released: SmallProject, tmp_path: Path) -> None:
    second = SmallProject(tmp_path / "second")
    shutil.copytree(released.folder, second.folder)
    settings = second.folder / "everfit.yaml"
    settings.write_text(settings.read_text().replace("project: churn", "project: second"))
    with running(released, *SERVE, "--with", str(settings)) as server:
        root = server.url().removesuffix("/models/churn")
        ids = {
            name: {httpx.post(f"{root}/models/{name}/predict", json=row, timeout=30).json()["id"] for row in rows()}
            for name in ("churn", "second")
        }
        counted = httpx.get(f"{root}/models/second/metrics", timeout=30).text
        assert server.end() == 0
    assert ids["churn"] <= logged(released)
    assert ids["second"] <= logged(second)
    line = next(line for line in counted.splitlines() if line.startswith("predictions_total"))
    assert float(line.split()[-1]) == len(rows())
