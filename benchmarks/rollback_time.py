"""How long wrong answers go on, under load: from the fault's first request, and from the verdict that ends it.

`everfit serve` with two workers and the settings that every project has, asked for 2,000 rows a second over sixteen
connections. In each trial version 2, which learned from labels turned around, gets half of the traffic as a canary that
is judged by its scores. The judge looks every `release.look`, as `everfit up` does, until its verdict rolls version 2
back. Every answer is counted: whose it was, when it came, and whether a request failed on the way. The verdict's time
is the moment at which its event is given to the state store.

    python -m benchmarks.rollback_time [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.report import Cell, report, table
from everfit.flow import ledger, release, routes
from everfit.flow.gathering import Gathering
from everfit.flow.trial import Trial
from everfit.ports import StateStore
from everfit.records.release import Action
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
release: {steps: [50%], verdict: {scores: 5pp}}
serving: {workers: 2, port: 0}
"""
RATE = 2000
CONNECTIONS = 16
GOAL = 0.25
LEVELS = (0.5, 0.99)
# When an answer came, which version's it was, and the status; 0 for a request that got no answer.
RECORD = struct.Struct("<dHH")
START = datetime(2026, 1, 1, tzinfo=UTC)
PAUSE = 0.8  # seconds that every server has to take over what was released


def project(folder: Path) -> Workspace:
    """Version 1 is champion; version 2 learned the opposite, and is registered."""
    workspace, other = (_trained(folder / name, flipped) for name, flipped in (("right", False), ("wrong", True)))
    state = workspace.ports.state
    (made,) = ledger.versions(other.ports.state).values()
    workspace.ports.artifacts.put(other.ports.artifacts.get(made.bundle_hash) or folder)
    ledger.register(state, replace(made, version=2), "benchmark")
    release.start(state, workspace.project.release, "benchmark", 1)
    return workspace


def _trained(folder: Path, flipped: bool) -> Workspace:
    folder.mkdir()
    (folder / "everfit.yaml").write_text(PROJECT)
    rows = churn.customers(2000, seed=1, start=START, days=90)
    if flipped:
        rows = rows.with_columns(churn=pl.when(pl.col("churn") == "Yes").then(pl.lit("No")).otherwise(pl.lit("Yes")))
    rows.write_parquet(folder / "customers.parquet")
    workspace = load(folder / "everfit.yaml")
    workspace.run()
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
            answer = await reader.readexactly(length)
            version = answer.partition(b'"version":')[2].partition(b",")[0].strip()
            answers.append(RECORD.pack(time.monotonic(), int(version or 0), int(head[9:12])))
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


@dataclass
class Noted:
    """The state store, with the time at which it was last given an event of the ledger."""

    store: StateStore
    at: float = 0.0

    def append(self, stream: str, document: bytes, expect: int | None = None) -> int:
        if stream == ledger.STREAM:
            self.at = time.monotonic()
        return self.store.append(stream, document, expect)

    def read(self, stream: str, after: int = 0) -> list[tuple[int, bytes]]:
        return self.store.read(stream, after)

    def last(self, stream: str) -> tuple[int, bytes] | None:
        return self.store.last(stream)


def trials(workspace: Workspace, count: int) -> Iterator[tuple[float, float]]:
    """When version 2 was released and when the verdict rolled it back, in each trial."""
    ports, settings, chance = workspace.ports, workspace.project.release, random.Random(1)
    state, every = Noted(ports.state), settings.look.total_seconds()
    manifest = routes.load(ledger.versions(state)[1], ports.artifacts).manifest
    gathering = Gathering(ports.folder / "counts")
    trial = Trial(ports.log, ports.labels, settings, manifest, timedelta(0))
    for number in range(count):
        release.start(state, settings, "benchmark", 2, force=True)
        released, action = state.at, None
        time.sleep(every * chance.random())  # the judge does not look because something was released
        while action is not Action.ROLL_BACK:
            verdict, _ = release.look(state, trial, "benchmark", gathering=gathering)
            action = verdict.action if verdict else None
            if action is not Action.ROLL_BACK:
                time.sleep(every)
        print(f"trial {number + 1} of {count}: rolled back after {state.at - released:.1f} s", file=sys.stderr)
        yield released, state.at
        time.sleep(PAUSE)


def lasting(answers: NDArray[Any], moments: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Seconds from the first answer of version 2 in each trial, and from the verdict, to its last answer."""
    ends = [released for released, _ in moments[1:]] + [np.inf]
    found = []
    for (released, back), end in zip(moments, ends, strict=True):
        wrong = answers["at"][(answers["version"] == 2) & (answers["at"] > released) & (answers["at"] < end)]
        if not len(wrong):
            raise RuntimeError("version 2 answered nothing, so nothing was measured")
        found.append((float(wrong.max() - wrong.min()), max(0.0, float(wrong.max()) - back)))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 trials in place of 50")
    count = 5 if parser.parse_args(arguments).quick else 50
    with tempfile.TemporaryDirectory() as name:
        folder, stop = Path(name), multiprocessing.Event()
        workspace = project(folder)
        with server(folder / "right") as port:
            caller = multiprocessing.Process(target=asked, args=(port, requests(400), folder / "answers", stop))
            caller.start()
            time.sleep(1.5)
            moments = list(trials(workspace, count))
            stop.set()
            caller.join(60)
        answers = np.fromfile(folder / "answers", np.dtype([("at", "<f8"), ("version", "<u2"), ("status", "<u2")]))
    during = answers[(answers["at"] > moments[0][0]) & (answers["at"] < moments[-1][1] + PAUSE)]
    rate = len(during) / (moments[-1][1] + PAUSE - moments[0][0])
    failed = int((during["status"] != 200).sum())
    whole, after = np.array(lasting(answers, moments)).T
    names = ("first wrong answer to last", "verdict to last wrong answer")
    rows: list[list[Cell]] = [
        [
            name,
            count,
            round(rate),
            failed,
            *(round(1000 * float(ms), 1) for ms in (*np.quantile(took, LEVELS), max(took))),
        ]
        for name, took in zip(names, (whole, after), strict=True)
    ]
    table(["from ... to", "trials", "answers a second", "failed", "p50 ms", "p99 ms", "longest ms"], rows)
    settings = workspace.project
    print(f"refresh {settings.serving.refresh}, look {settings.release.look}, both as every project has them")
    goal = "verdict to last wrong answer <= 250 ms p99, no request failed by the swap"
    worst = float(np.quantile(after, 0.99))
    report("rollback_time", round(worst, 4), goal, bool(worst <= GOAL and failed == 0))


if __name__ == "__main__":
    main()
