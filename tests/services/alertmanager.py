"""Prometheus' Alertmanager of one's own: an empty folder, free ports on the loopback, gone with the block."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PROGRAMS = ("prometheus-alertmanager", "alertmanager")
_DEADLINE = 60.0
_CONFIG = "route: {receiver: nobody, group_wait: 1s}\nreceivers: [{name: nobody}]\n"


def absent() -> str:
    """Why none can be started here; empty when one can."""
    found = any(shutil.which(name) for name in _PROGRAMS)
    return "" if found else "Alertmanager is not installed: Debian's package prometheus-alertmanager has it"


class Alertmanager:
    """A server that takes alerts."""

    def __init__(self, url: str) -> None:
        self.url = url

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are active, as its API shows them."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found


@contextmanager
def alertmanager() -> Iterator[Alertmanager]:
    """A server that is ready."""
    program = next(found for name in _PROGRAMS if (found := shutil.which(name)))
    with tempfile.TemporaryDirectory(prefix="everfit-alertmanager-") as folder:
        config = Path(folder) / "alertmanager.yml"
        config.write_text(_CONFIG)
        port = _free_port()
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, f"--config.file={config}", f"--storage.path={folder}/data", "--cluster.listen-address=",
                 f"--web.listen-address=127.0.0.1:{port}"],
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            server = Alertmanager(f"http://127.0.0.1:{port}")
            _wait(server.url, process)
            yield server
        finally:
            process.terminate()
            process.wait(_DEADLINE)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _DEADLINE
    while True:
        assert process.poll() is None, "Alertmanager ended at once"
        try:
            urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
        except OSError:
            assert time.monotonic() < deadline, "Alertmanager does not answer"
            time.sleep(0.02)
        else:
            return


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
