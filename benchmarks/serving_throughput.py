"""Requests a second over HTTP: everfit with its durable log against the servers of the field and the limits of HTTP.

    python -m benchmarks.serving_throughput [--quick] [--cache FOLDER] [--peers NAME,...]

All answer from the same forest of 200 trees on the same churn table, one row a request, asked by wrk on this machine in
the same run. The limits are an ASGI application and a FastAPI endpoint that do nothing. Each peer gets an environment
of its own below the cache folder, made once; one that cannot be installed is reported as such. Ratios are what counts:
the machine's own speed cancels out. CPU is the processor time that a server's processes took for one request.
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
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.report import Cell, report, table
from benchmarks.serving_peers import LIMITS, PEERS, Peer, install
from everfit.testing.churn import ENTITY, POSITIVE, TARGET, TIME, customers

GOAL_LIMIT, GOAL_PEER = 0.5, {1: 80.0, 8: 200.0, 64: 200.0}
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
class Measured:
    """What wrk saw of a server at so many connections; `cpu` in microseconds a request, of all its processes."""

    server: str
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
        row = prepared(folder)
        found = list(measured(folder, row, given.cache.absolute(), wanted, given.quick))
    told(found)


def measured(folder: Path, row: str, cache: Path, peers: Sequence[Peer], quick: bool) -> Iterator[Measured]:
    """Every server in turn, everfit first and last against the machine's moods."""
    seconds = 2 if quick else 6
    script = folder / "post.lua"
    script.write_text(f'wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\nwrk.body=[[{row}]]\n')
    for limit in LIMITS.values():
        with served([sys.executable, "-c", limit.code, str(limit.port)], limit, folder):
            yield from asked(limit, script, (1, 8, 64), seconds)
    for workers in (1,) if quick else (1, 2):
        ours = Peer(f"everfit, {workers} worker{'s' * (workers > 1)}", 8100 + workers, "/predict")
        settings = ["--port", str(ours.port), "--set", f"serving.workers={workers}"]
        with served([*EVERFIT, "serve", "--project", str(folder / "everfit.yaml"), *settings], ours, folder):
            yield from asked(ours, script, (1, 8, 64), seconds)
    for peer in peers:
        python = cache / peer.name / "bin" / "python"
        problem = "not installed yet; run without --quick" if quick and not python.exists() else install(peer, cache)
        if problem:
            print(f"{peer.name}: {problem}", flush=True)
            continue
        fitted(peer, python, folder)
        own = folder / f"{peer.name}.lua"
        own.write_text(
            f'wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\nwrk.body=[[{peer.body(row)}]]\n'
        )
        with served(peer.command(python, folder), peer, folder):
            yield from asked(peer, own, (1, 8, 64), max(seconds, 3))


def prepared(folder: Path) -> str:
    """A project with a released forest; returns a row of its table as JSON."""
    frame = customers(3_000, 1, datetime(2025, 1, 1), 90)  # noqa: DTZ001  # no zone
    frame.write_csv(folder / "customers.csv")
    (folder / "everfit.yaml").write_text(PROJECT)
    for command in ("run", "release"):
        done = subprocess.run(
            [*EVERFIT, command, "--project", str(folder / "everfit.yaml")], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"everfit {command} failed:\n{done.stderr[-2000:]}")
    return json.dumps(frame.drop(TARGET, TIME, ENTITY).to_dicts()[0])


def fitted(peer: Peer, python: Path, folder: Path) -> None:
    """The peer's own model of the same table, by scikit-learn in its environment."""
    done = subprocess.run(
        [str(python), "-c", peer.fit, str(folder)], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{peer.name} cannot fit:\n{done.stderr[-2000:]}")


@contextmanager
def served(command: Sequence[str], peer: Peer, folder: Path) -> Iterator[None]:
    """The server as a process group of its own, until it is not needed any more."""
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            awaited(peer, process)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def awaited(peer: Peer, process: subprocess.Popen[bytes]) -> None:
    """Returns once the port answers. RuntimeError when the server ends, or takes two minutes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{peer.port}{peer.ready}", timeout=2)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{peer.name} does not answer")


def asked(peer: Peer, script: Path, connections: Sequence[int], seconds: int) -> Iterator[Measured]:
    """wrk at each number of connections, after a second to warm up."""
    wrk(peer, script, 1, 1)
    for count in connections:
        before = processor(peer.port)
        said = wrk(peer, script, count, seconds)
        rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", said)[0])
        requests = max(1, int(re.findall(r"(\d+) requests in", said)[0]))
        failed = re.findall(r"Non-2xx or 3xx responses: (\d+)", said)
        quantile = {share: re.findall(rf"{share}%\s+(\S+)", said)[0] for share in (50, 99)}
        cpu = (processor(peer.port) - before) / requests * 1e6
        yield Measured(peer.name, count, rate, quantile[50], quantile[99], cpu, int(failed[0]) if failed else 0)


def wrk(peer: Peer, script: Path, connections: int, seconds: int) -> str:
    url = f"http://127.0.0.1:{peer.port}{peer.path}"
    shape = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", str(script)]
    return subprocess.run(["wrk", *shape, url], capture_output=True, text=True, check=True).stdout


def processor(port: int) -> float:
    """Seconds of processor that the process group listening on the port has taken."""
    found = subprocess.run(["ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    pids = {int(pid) for pid in re.findall(r"pid=(\d+)", found)}
    total = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def told(found: Sequence[Measured]) -> None:
    """The table, and whether the goals hold."""
    ours = {one.connections: one for one in found if one.server == "everfit, 1 worker"}
    bare = {one.connections: one for one in found if one.server == "bare ASGI"}
    rows: list[list[Cell]] = []
    for one in found:
        own = ours[one.connections]
        rows.append([one.server, one.connections, round(one.rate), one.p50, one.p99, round(one.cpu, 1), one.failed,
                     f"{own.rate / one.rate:,.2f}", f"{one.cpu / own.cpu:,.2f}"])  # fmt: skip
    heads = ["", "connections", "requests/s", "p50", "p99", "CPU µs", "failed", "everfit / this", "the same by CPU"]
    table(heads, rows)
    limits = {count: ours[count].rate / bare[count].rate for count in (8, 64)}
    peers = [one for one in found if one.server in PEERS]
    beaten = [ours[one.connections].rate / one.rate >= GOAL_PEER[one.connections] for one in peers]
    unfailed = all(one.failed == 0 for one in ours.values())
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; by CPU a request takes "
          f"{ours[64].cpu / bare[64].cpu:.2f} of what the bare limit takes at 64 connections")  # fmt: skip
    goal = f">= {GOAL_LIMIT:.0%} of bare ASGI at 8 and 64 connections, with the log"
    if peers:
        goal += "; >= 200 times each peer there and >= 80 times at 1"
    holds = all(share >= GOAL_LIMIT for share in limits.values()) and all(beaten) and unfailed
    report("serving_throughput", round(min(limits.values()), 2), goal, holds)


if __name__ == "__main__":
    main()
