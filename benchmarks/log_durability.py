"""What kill -9 costs: workers killed at seeded moments under load, and what was answered held against the log.

    python -m benchmarks.log_durability [--quick] [--kills N] [--seed N]

Eight callers ask two workers for predictions over connections of their own and note the id of every answer. At random
moments a random worker is killed. After each kill, every id noted so far is looked up in the prediction log: answered
and not logged is the figure, and has to be 0. Recovery is how long it takes until a new connection is answered again,
and until the killed worker's successor answers. The log is flushed to the disk every second, as by default.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.report import report, table
from benchmarks.serving_throughput import EVERFIT, prepared
from everfit.project.load import load
from everfit.wiring import Ports

CALLERS, WORKERS = 8, 2


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill: how many ids had been noted, how many of them were not in the log, and the seconds of recovery."""

    answered: int
    lost: int
    answering: float
    replaced: float


@dataclass
class Callers:
    """Threads that ask until they are stopped, and what they were answered."""

    port: int
    body: str
    stop: threading.Event = field(default_factory=threading.Event)
    ids: list[str] = field(default_factory=list)
    refused: int = 0

    def run(self) -> None:
        while not self.stop.is_set():
            with suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                while not self.stop.is_set():
                    self._ask(connection)

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        connection.request("POST", "/predict", self.body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status == 200:
            self.ids.append(json.loads(said)["id"])
        else:
            self.refused += 1


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three kills instead of fifty")
    parser.add_argument("--kills", type=int, help="another number of kills")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    kills = given.kills or (3 if given.quick else 50)
    with tempfile.TemporaryDirectory(prefix="everfit-durability-") as name:
        folder = Path(name)
        body = json.dumps(prepared(folder)[0])
        with serving(folder) as (server, port):
            callers = Callers(port, body)
            found = list(rounds(callers, server, folder, Random(given.seed), kills))
    told(found, callers)


def rounds(callers: Callers, server: int, folder: Path, random: Random, kills: int) -> Iterator[Kill]:
    log = Ports(load(folder / "everfit.yaml")).log
    threads = [threading.Thread(target=callers.run) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(kills):
            time.sleep(0.2 + random.random())
            before = workers(server)
            os.kill(random.choice(sorted(before)), signal.SIGKILL)
            killed = time.perf_counter()
            answering = until_answered(callers, killed)
            replaced = until_replaced(server, before, callers.port, killed)
            noted = list(callers.ids)
            yield Kill(len(noted), len(set(noted) - set(log.frame(["id"])["id"])), answering, replaced)
    finally:
        callers.stop.set()
        for thread in threads:
            thread.join()


def until_answered(callers: Callers, since: float) -> float:
    """Seconds until a connection made after the kill is answered."""
    while True:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", callers.port, timeout=20)
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return time.perf_counter() - since


def until_replaced(server: int, before: set[int], port: int, since: float) -> float:
    """Seconds until a new worker has taken one of the connections that are made meanwhile. RuntimeError after two
    minutes."""
    while time.perf_counter() - since < 120:
        fresh = workers(server) - before
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/health")
            connection.getresponse().read()
            if fresh and _has_served(next(iter(fresh)), port):
                return time.perf_counter() - since
            connection.close()
    raise RuntimeError("the killed worker has no successor")


def _has_served(pid: int, port: int) -> bool:
    """Whether the process holds a connection on the port beside the listener."""
    said = subprocess.run(["ss", "-Htnp", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    return f"pid={pid}," in said


def workers(server: int) -> set[int]:
    """The worker processes of the supervisor."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    found = set()
    for pid in children:
        with suppress(OSError):
            if b"--worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(int(pid))
    return found


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, int]]:
    """The server of a prepared project: its process id and its port."""
    project = ["--project", str(folder / "everfit.yaml"), "--set", f"serving.workers={WORKERS}"]
    command = [*EVERFIT, "serve", *project, "--port", "0", "--json"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            yield process.pid, int(json.loads(line)["url"].rpartition(":")[2])
        finally:
            process.terminate()
            process.communicate(timeout=60)


def told(found: Sequence[Kill], callers: Callers) -> None:
    lost = max(kill.lost for kill in found)
    answering, replaced = [k.answering for k in found], [k.replaced for k in found]
    heads = ["kills", "answered", "not logged", "refused", "answering again, s", "at most", "replaced, s", "at most"]
    seconds = [median(answering), max(answering), median(replaced), max(replaced)]
    table(heads, [[len(found), found[-1].answered, lost, callers.refused, *seconds]])
    report("log_durability", lost, f"0 answered and not logged after each of {len(found)} kills", lost == 0)


if __name__ == "__main__":
    main()
