"""HTTP servers in front of everfit's own application: the quick way inside uvicorn's protocol, uvicorn and granian at
ASGI level.

    python -m benchmarks.serving_fronts [--quick] [--cache FOLDER]

All answer one row a request from the same compiled forest of 200 trees, the durable log on, one worker each, asked by
wrk in turns. granian is installed into the cache folder, beside the packages of this environment. Ratios to the quick
way are what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.report import Cell, report, table
from benchmarks.served_models import Customers
from benchmarks.serving_peers import Peer
from benchmarks.serving_throughput import ROW, asked, served

APP = """
from pathlib import Path
from everfit.records.release import Arm, RouteTable
from everfit.serving.app import create_app
from everfit.serving.log import JsonLinesLog
from everfit.serving.model import open_model
from everfit.serving.predictor import Predictor
here = Path(__file__).parent
predictor = Predictor(JsonLinesLog(here / "log"))
predictor.swap(RouteTable(1, (Arm("champion", 1, 1.0),)), {1: open_model(here / "bundle")})
app = create_app(predictor)
async def plain(scope, receive, send):
    await app(scope, receive, send)
"""
SERVE = "import served_app; from everfit.serving.server import serve; serve(served_app.%s, '127.0.0.1', %d)"
QUICK, ASGI, GRANIAN = "uvicorn, quick way", "uvicorn, ASGI", "granian, ASGI"
PORTS = {QUICK: 8161, ASGI: 8162, GRANIAN: 8163}
CONNECTIONS = (8, 64)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short runs, and granian only if installed")
    parser.add_argument("--cache", type=Path, default=Path(".cache/serving-fronts"), help="where granian is installed")
    given = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        sys.exit("this benchmark needs wrk: apt-get install wrk")
    cache = given.cache.absolute()
    with tempfile.TemporaryDirectory(prefix="everfit-fronts-") as name:
        folder, drawn = Path(name), Customers.drawn(3_000)
        drawn.bundle("random_forest", folder / "bundle", rows=2_000)
        (folder / "served_app.py").write_text(APP)
        os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), str(cache), os.environ.get("PYTHONPATH", "")])
        is_there = installed(cache, fetch=not given.quick)
        seconds, rounds = (1, 2) if given.quick else (4, 5)
        found = measured(folder, json.dumps(drawn.example), seconds, rounds, is_there)
    told(found)


def measured(
    folder: Path, body: str, seconds: int, rounds: int, granian: bool
) -> dict[tuple[str, int], list[tuple[float, float]]]:
    """Requests a second and microseconds of processor time a request, by front and connections, a pair a round."""
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name, command in commands(granian).items():
            peer = Peer(name, PORTS[name], "/predict", "/ready")
            with served(command, peer, folder, []):
                for one in asked(peer, ROW, body, CONNECTIONS, seconds):
                    found.setdefault((name, one.connections), []).append((one.rate, one.cpu))
    return found


def commands(granian: bool) -> dict[str, Sequence[str]]:
    """How each is started."""
    found: dict[str, Sequence[str]] = {
        QUICK: [sys.executable, "-c", SERVE % ("app", PORTS[QUICK])],
        ASGI: [sys.executable, "-c", SERVE % ("plain", PORTS[ASGI])],
    }
    if granian:
        where = ["--host", "127.0.0.1", "--port", str(PORTS[GRANIAN])]
        how = ["--interface", "asgi", "--loop", "uvloop", "--no-ws", "--workers", "1"]
        found[GRANIAN] = [sys.executable, "-m", "granian", *where, *how, "served_app:app"]
    return found


def installed(cache: Path, fetch: bool) -> bool:
    """Whether granian is in the cache folder, fetched once."""
    if (cache / "granian").is_dir():
        return True
    if not fetch:
        print("granian: not installed yet; run without --quick", flush=True)
        return False
    uv = str(Path(sys.executable).parent / "uv")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(cache), "granian>=2.5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"granian cannot be installed: {done.stderr.strip()[-200:]}", flush=True)
        return False
    return True


def told(found: dict[tuple[str, int], list[tuple[float, float]]]) -> None:
    rows: list[list[Cell]] = []
    ratios = {}
    for (name, connections), pairs in found.items():
        base = found[QUICK, connections]
        ratios[name, connections] = median(own[0] / quick[0] for own, quick in zip(pairs, base, strict=True))
        cpu = median(own[1] / quick[1] for own, quick in zip(pairs, base, strict=True))
        rows.append([name, connections, median(rate for rate, _ in pairs), ratios[name, connections], cpu])
    table(["front", "connections", "requests/s", "of the quick way", "its CPU a request"], rows)
    best = max((ratio for (name, _), ratio in ratios.items() if name == GRANIAN), default=None)
    goal = "granian below 1.1 times the quick way: it is no option as long as this holds"
    if best is None:
        report("serving_fronts", "granian was not measured", goal, False)
    else:
        report("serving_fronts", round(best, 3), goal, best < 1.1)


if __name__ == "__main__":
    main()
