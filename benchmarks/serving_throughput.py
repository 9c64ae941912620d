"""Requests a second over HTTP: everfit with its durable log against the servers of the field and the limits of HTTP.

    python -m benchmarks.serving_throughput [--quick] [--cache FOLDER] [--peers NAME,...]

All answer from the same forest of 200 trees on the same churn table, asked by wrk on this machine in the same run: one
row a request at 1, 8 and 64 connections, 100 rows a request at one; everfit also by entity key, with the row from its
online store. The limits are an ASGI application and a FastAPI endpoint that do nothing. Each peer gets an environment
of its own below the cache folder, made once; one that cannot be installed, does not start or answers with errors is
reported as such. Ratios are what counts: the machine's own speed cancels out. CPU is the processor time that a
server's processes took for one request.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from benchmarks.report import Cell, report, table
from benchmarks.serving_peers import LIMITS, PEERS, Peer, Rows, install
from everfit.testing.churn import ENTITY, POSITIVE, TARGET, TIME, customers

OURS = "everfit, 1 worker"
ROW, BATCH, KEY = "a row", "100 rows", "a key"
GOAL_LIMIT, GOAL_KEY = 0.5, 0.4
GOAL_MB, GOAL_START = 200.0, 2.0
GOAL_PEER = {(ROW, 1): 80.0, (ROW, 8): 200.0, (ROW, 64): 200.0, (BATCH, 1): 30.0}
PROJECT = f"""\
project: churn
data:
  source: customers.csv
  target: {{column: {TARGET}, positive: "{POSITIVE}"}}
  entity: {ENTITY}
  exclude: [{TIME}]
training:
  models: [{{name: random_forest, params: {{n_estimators: 200}}}}]
  budget: {{trials: 1, folds: 2}}
release: immediate
"""
EVERFIT = [sys.executable, "-c", "from everfit.cli.main import main; main()"]


@dataclass(frozen=True, slots=True)
class Started:
    """Seconds from the command to the port's first answer, and the largest process's resident megabytes after it was
    asked."""

    server: str
    seconds: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What wrk saw of a server at so many connections; `cpu` in microseconds a request, of all its processes."""

    server: str
    what: str
    connections: int
    rate: float
    p50: str
    p99: str
    cpu: float
    failed: int


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short runs, one worker, and peers only if installed")
    parser.add_argument("--cache", type=Path, default=Path(".cache/serving-peers"), help="where peers are installed")
    parser.add_argument("--peers", default=",".join(PEERS), help="which of them, by name")
    given = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        sys.exit("this benchmark needs wrk: apt-get install wrk")
    wanted = [PEERS[name] for name in given.peers.split(",") if name]
    with tempfile.TemporaryDirectory(prefix="everfit-serving-") as name:
        folder = Path(name)
        rows = prepared(folder)
        starts: list[Started] = []
        found = list(measured(folder, rows, given.cache.absolute(), wanted, given.quick, starts))
    table(["", "first answer, s", "resident MB"], [[one.server, one.seconds, one.megabytes] for one in starts])
    told(found, starts)


def measured(
    folder: Path, rows: Rows, cache: Path, peers: Sequence[Peer], quick: bool, starts: list[Started]
) -> Iterator[Measured]:
    """Every server in turn; `starts` gets what each start took."""
    seconds = 2 if quick else 6
    for limit in LIMITS.values():
        with served([sys.executable, "-c", limit.code, str(limit.port)], limit, folder, starts):
            yield from asked(limit, ROW, limit.body(rows), (1, 8, 64), seconds)
    for workers in (1,) if quick else (1, 2):
        ours = Peer(f"everfit, {workers} worker{'s' * (workers > 1)}", 8100 + workers, "/predict")
        settings = ["--port", str(ours.port), "--set", f"serving.workers={workers}"]
        with served([*EVERFIT, "serve", "--project", str(folder / "everfit.yaml"), *settings], ours, folder, starts):
            yield from asked(ours, KEY, json.dumps({ENTITY: rows[0][ENTITY]}), (8, 64), seconds)
            yield from every_way(ours, rows, seconds)
    for peer in peers:
        python = cache / peer.name / "bin" / "python"
        problem = "not installed yet; run without --quick" if quick and not python.exists() else install(peer, cache)
        try:
            if problem:
                raise RuntimeError(problem)
            fitted(peer, python, folder)
            with served(peer.command(python, folder), peer, folder, starts):
                yield from every_way(peer, rows, max(seconds, 3))
        except RuntimeError as error:
            print(f"{peer.name}: {error}", flush=True)


def every_way(server: Peer, rows: Rows, seconds: int) -> Iterator[Measured]:
    """One row a request, and all of them."""
    bare = [{name: value for name, value in row.items() if name != ENTITY} for row in rows]
    yield from asked(server, ROW, server.body(bare), (1, 8, 64), seconds)
    path, body = server.batch
    yield from asked(replace(server, path=path), BATCH, body(bare), (1,), seconds)


def prepared(folder: Path) -> Rows:
    """A project with a released forest; returns rows of its table."""
    frame = customers(3_000, 1, datetime(2025, 1, 1), 90)  # noqa: DTZ001  # no zone
    frame.write_csv(folder / "customers.csv")
    (folder / "everfit.yaml").write_text(PROJECT)
    for command in ("run", "release"):
        done = subprocess.run(
            [*EVERFIT, command, "--project", str(folder / "everfit.yaml")], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"everfit {command} failed:\n{done.stderr[-2000:]}")
    return frame.drop(TARGET, TIME).head(100).to_dicts()


def fitted(peer: Peer, python: Path, folder: Path) -> None:
    """The peer's own model of the same table, by scikit-learn in its environment."""
    done = subprocess.run(
        [str(python), "-c", peer.fit, str(folder)], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{peer.name} cannot fit:\n{done.stderr[-2000:]}")


@contextmanager
def served(command: Sequence[str], peer: Peer, folder: Path, starts: list[Started]) -> Iterator[None]:
    """The server as a process group of its own, until it is not needed any more."""
    said = folder / f"{peer.port}.log"
    # Some start other programs of their environment.
    around = os.environ | {"PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"}
    began = time.perf_counter()
    with said.open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True, env=around)
        try:
            if not awaited(peer, process):
                raise RuntimeError("does not answer: " + " ".join(said.read_text(errors="replace").split("\n")[-4:]))
            seconds = round(time.perf_counter() - began, 2)
            yield
            starts.append(Started(peer.name, seconds, resident(peer.port)))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def awaited(peer: Peer, process: subprocess.Popen[bytes]) -> bool:
    """Whether the port answers; not when the server ends, or takes two minutes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{peer.port}{peer.ready}", timeout=2)
        except urllib.error.HTTPError:
            return True
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


def asked(server: Peer, what: str, body: str, connections: Sequence[int], seconds: int) -> Iterator[Measured]:
    """wrk at each number of connections, after a second to warm up. RuntimeError for a server that only answers with
    errors."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\nwrk.body=[==[{body}]==]\n')
        script.flush()
        wrk(server, script.name, 1, 1)
        for count in connections:
            before = processor(server.port)
            said = wrk(server, script.name, count, seconds)
            requests = int(re.findall(r"(\d+) requests in", said)[0])
            failed = int((re.findall(r"Non-2xx or 3xx responses: (\d+)", said) or ["0"])[0])
            if failed and failed == requests:
                raise RuntimeError(f"answers {what} with errors only")
            rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", said)[0])
            quantile = {share: re.findall(rf"^\s+{share}%\s+(\S+)", said, re.MULTILINE)[0] for share in (50, 99)}
            cpu = (processor(server.port) - before) / max(1, requests) * 1e6
            yield Measured(server.name, what, count, rate, quantile[50], quantile[99], cpu, failed)


def wrk(server: Peer, script: str, connections: int, seconds: int) -> str:
    url = f"http://127.0.0.1:{server.port}{server.path}"
    shape = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", script]
    return subprocess.run(["wrk", *shape, url], capture_output=True, text=True, check=True).stdout


def listening(port: int) -> set[int]:
    """The processes that listen on the port."""
    found = subprocess.run(["ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    return {int(pid) for pid in re.findall(r"pid=(\d+)", found)}


def resident(port: int) -> float:
    """Megabytes of the largest process that listens on the port."""
    largest = 0
    for pid in listening(port):
        with suppress(OSError):
            largest = max(largest, int(Path(f"/proc/{pid}/statm").read_text().split()[1]))
    return round(largest * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def processor(port: int) -> float:
    """Seconds of processor that the processes listening on the port have taken."""
    total = 0
    for pid in listening(port):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def told(found: Sequence[Measured], starts: Sequence[Started]) -> None:
    """The table, and whether the goals hold."""
    ours = {(one.what, one.connections): one for one in found if one.server == OURS}
    bare = {one.connections: one for one in found if one.server == "bare ASGI"}
    rows: list[list[Cell]] = []
    for one in found:
        own = ours[one.what, one.connections]
        rows.append([one.server, one.what, one.connections, round(one.rate), one.p50, one.p99, round(one.cpu, 1),
                     one.failed, f"{own.rate / one.rate:,.2f}", f"{one.cpu / own.cpu:,.2f}"])  # fmt: skip
    heads = ["", "asks", "connections", "requests/s", "p50", "p99", "CPU µs", "failed", "everfit / this", "by CPU"]
    table(heads, rows)
    shares = {what: min(ours[what, count].rate / bare[count].rate for count in (8, 64)) for what in (ROW, KEY)}
    beaten = [(ours[of].rate / one.rate, goal) for of, goal in GOAL_PEER.items() for one in found
              if one.server in PEERS and (one.what, one.connections) == of]  # fmt: skip
    times = ours[ROW, 64].cpu / bare[64].cpu
    print(
        f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; at 64 connections {times:.2f} times the CPU"
        f" of the bare limit a request; by entity key everfit reaches {shares[KEY]:.0%} of its rate"
    )
    goal = f">= {GOAL_LIMIT:.0%} of bare ASGI at 8 and 64 connections with the log, >= {GOAL_KEY:.0%} by entity key"
    goal += f"; resident < {GOAL_MB:.0f} MB; first answer < {GOAL_START:g} s"
    if beaten:
        goal += "; >= 200 times each peer there, >= 80 times at 1, >= 30 times with 100 rows a request"
    light = all(one.megabytes < GOAL_MB and one.seconds < GOAL_START for one in starts if one.server == OURS)
    holds = (
        light and shares[ROW] >= GOAL_LIMIT and shares[KEY] >= GOAL_KEY and not any(one.failed for one in ours.values())
    )
    report("serving_throughput", round(shares[ROW], 2), goal, holds and all(ratio >= least for ratio, least in beaten))


if __name__ == "__main__":
    main()
