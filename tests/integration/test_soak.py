"""A server that answers for long, and changes its versions meanwhile, grows neither in memory nor in open files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import msgspec
import pytest

from tests.unit.serving_models import GOOD, bundle

# Every tenth of a second another version answers, opened anew from its bundle; every third time both, as in a canary.
SERVER = """
import sys, threading
from itertools import count
from pathlib import Path
from everfit.records.release import Arm, RouteTable
from everfit.serving.app import create_app
from everfit.serving.explaining import Explainer
from everfit.serving.log import JsonLinesLog
from everfit.serving.model import open_model
from everfit.serving.predictor import Predictor
from everfit.serving.server import serve

folders = [Path(text) for text in sys.argv[2:]]
log = JsonLinesLog(Path(sys.argv[1]))
predictor, swaps = Predictor(log), count(1)

def swap():
    number = next(swaps)
    first, second = number % 2, 1 - number % 2
    arms = [Arm("champion", first, 1.0)]
    if number % 3 == 0:
        arms = [Arm("champion", first, 0.5), Arm("challenger", second, 0.5)]
    predictor.swap(RouteTable(number, tuple(arms)), {arm.version: open_model(folders[arm.version]) for arm in arms})

def swapping():
    while not stop.wait(0.1):
        swap()

swap()
stop = threading.Event()
threading.Thread(target=swapping, daemon=True).start()
explainer = Explainer(log, lambda version: (open_model(folders[version]), folders[version]))
app = create_app(predictor, explainer=explainer)
serve(app, "127.0.0.1", 0, started=lambda port: print(port, flush=True))
"""
REQUESTS = 4000
HEADERS = {"content-type": "application/json"}


@contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], HTTPConnection]]:
    folders = [str(bundle()), str(bundle(family="xgboost"))]
    command = [sys.executable, "-c", SERVER, str(folder), *folders]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        asking = HTTPConnection("127.0.0.1", int(process.stdout.readline()), timeout=60)
        try:
            yield process, asking
        finally:
            asking.close()
            process.terminate()


def ask(asking: HTTPConnection, count: int) -> set[int]:
    """Rows one by one, now and then several, an explanation or what is refused; the versions that answered."""
    row, several = msgspec.json.encode(GOOD), msgspec.json.encode({"rows": [GOOD] * 20})
    versions = set()
    for number in range(count):
        body = several if number % 50 == 0 else b"{" if number % 50 == 1 else row
        asking.request("POST", "/predict", body, HEADERS)
        answer = asking.getresponse()
        said = msgspec.json.decode(answer.read())
        assert answer.status == (422 if body == b"{" else 200), said
        if body is row:
            versions.add(said["version"])
        if number % 100 == 2:
            asking.request("GET", f"/explain/{said['id']}")
            answer = asking.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
    return versions


def resident(process: subprocess.Popen[str]) -> int:
    """Memory of the process in pages."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])


def open_files(process: subprocess.Popen[str]) -> int:
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc to read a process' memory from")
def test_memory_and_open_files_stay_flat_while_versions_are_swapped(tmp_path: Path) -> None:
    with server(tmp_path) as (process, asking):
        ask(asking, REQUESTS // 2)
        early, files = resident(process), open_files(process)
        assert ask(asking, REQUESTS) == {0, 1}
        assert resident(process) / early < 1.1
        assert open_files(process) <= files + 2
        assert process.poll() is None
