"""How long wrong answers go on after a verdict, under load: from the ledger's event to the last answer of the version.

`everfit serve` with two workers, asked for 2,000 rows a second over sixteen connections. In each trial version 2 is
released at once, answers everything, and is rolled back as a verdict does it: one event appended to the ledger. Every
answer is counted: whose it was, when it came, and whether a request failed on the way.

    python -m benchmarks.rollback_time [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import report, table
from everfit.flow import ledger, release
from everfit.project.sections.release import Release
from everfit.records.release import Strategy
from everfit.testing import churn
from everfit.workspace import Workspace, load

PROJECT = """\
project: churn
data:
  source: customers.parquet
  target: {column: churn, positive: "Yes"}
  entity: customer_id
  time: event_timestamp
training: {models: [logistic], executor: serial, budget: {trials: 1, folds: 2}}
gates: {roc_auc: 0.55}
serving: {workers: 2, refresh: 0.05s, port: 0}
"""
RATE = 2000
CONNECTIONS = 16
GOAL = 0.25
# When an answer came, which version's it was, and the status; 0 for a request that got no answer.
RECORD = struct.Struct("<dHH")
START = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE = Release(strategy=Strategy.IMMEDIATE)


def project(folder: Path) -> Workspace:
    """Two versions, the first one champion. They are one model: what is measured is whose answers come until when."""
    (folder / "everfit.yaml").write_text(PROJECT)
    churn.customers(2000, seed=1, start=START, days=90).write_parquet(folder / "customers.parquet")
    workspace = load(folder / "everfit.yaml")
    workspace.run()
    state = workspace.ports.state
    ledger.register(state, replace(ledger.versions(state)[1], version=2), "benchmark")
    release.start(state, AT_ONCE, "benchmark", 1)
    return workspace


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """`everfit serve` in a process of its own; its port."""
    command = [sys.executable, "-c", "from everfit.cli.main import main; main()", "serve", "--json"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        url = json.loads((process.stdout or sys.stdin).readline())["url"]
        yield int(url.rpartition(":")[2].strip("/"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def asked(port: int, bodies: Sequence[bytes], to: Path, stop: Event) -> None:
    """Asks until `stop`, each connection at its share of the rate, and writes a record an answer."""
    asyncio.run(_asked(port, bodies, to, stop))


async def _asked(port: int, bodies: Sequence[bytes], to: Path, stop: Event) -> None:
    answers: list[bytes] = []
    await asyncio.gather(*(_caller(port, bodies[n::CONNECTIONS], answers, stop) for n in range(CONNECTIONS)))
    to.write_bytes(b"".join(answers))


async def _caller(port: int, bodies: Sequence[bytes], answers: list[bytes], stop: Event) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    pause, due, number = CONNECTIONS / RATE, time.monotonic(), 0
    while not stop.is_set():
        due = max(due + pause, time.monotonic() - 1)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        try:
            writer.write(bodies[number % len(bodies)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            answer = json.loads(await reader.readexactly(length))
            answers.append(RECORD.pack(time.monotonic(), answer.get("version", 0), int(head[9:12])))
        except (OSError, asyncio.IncompleteReadError):
            answers.append(RECORD.pack(time.monotonic(), 0, 0))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number += 1
    writer.close()


def requests(rows: int) -> list[bytes]:
    """Whole HTTP requests, a customer each."""
    customers = (
        churn.customers(rows, seed=3, start=START, days=1, first=50_000).drop("churn", "event_timestamp").to_dicts()
    )
    bodies = [json.dumps(customer, default=str).encode() for customer in customers]
    head = "POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"
    return [head.format(len(body)).encode() + body for body in bodies]


def trials(workspace: Workspace, count: int) -> list[tuple[float, float]]:
    """When version 2 was released and when it was rolled back, in each trial."""
    state, moments = workspace.ports.state, []
    for _ in range(count):
        released = time.monotonic()
        release.start(state, AT_ONCE, "benchmark", 2, force=True)
        time.sleep(0.8)
        back = time.monotonic()
        release.roll_back(state, "benchmark", "the verdict")
        moments.append((released, back))
        time.sleep(0.8)
    return moments


def lasting(answers: NDArray[Any], moments: Sequence[tuple[float, float]]) -> list[float]:
    """Seconds from each rollback to the last answer of version 2."""
    ends = [released for released, _ in moments[1:]] + [np.inf]
    found = []
    for (released, back), end in zip(moments, ends, strict=True):
        wrong = answers["at"][(answers["version"] == 2) & (answers["at"] > released) & (answers["at"] < end)]
        if not len(wrong):
            raise RuntimeError("version 2 answered nothing, so nothing was measured")
        found.append(max(0.0, float(wrong.max()) - back))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 trials in place of 50")
    count = 5 if parser.parse_args(arguments).quick else 50
    with tempfile.TemporaryDirectory() as name:
        folder, stop = Path(name), multiprocessing.Event()
        workspace = project(folder)
        with server(folder) as port:
            caller = multiprocessing.Process(target=asked, args=(port, requests(400), folder / "answers", stop))
            caller.start()
            time.sleep(1.5)
            moments = trials(workspace, count)
            stop.set()
            caller.join(60)
        answers = np.fromfile(folder / "answers", np.dtype([("at", "<f8"), ("version", "<u2"), ("status", "<u2")]))
    during = answers[(answers["at"] > moments[0][0]) & (answers["at"] < moments[-1][1] + 0.8)]
    rate = len(during) / (moments[-1][1] + 0.8 - moments[0][0])
    failed = int((during["status"] != 200).sum())
    took = np.array(lasting(answers, moments))
    p50, p99 = np.quantile(took, [0.5, 0.99])
    table(
        ["trials", "answers a second", "failed", "verdict to last wrong answer, p50 ms", "p99 ms", "longest ms"],
        [[count, round(rate), failed, round(1000 * p50, 1), round(1000 * p99, 1), round(1000 * float(took.max()), 1)]],
    )
    goal = "verdict to last wrong answer <= 250 ms p99, no request failed by the swap"
    report("rollback_time", round(float(p99), 4), goal, bool(p99 <= GOAL and failed == 0))


if __name__ == "__main__":
    main()
