"""Prometheus' Pushgateway of one's own: a free port on the loopback, gone with the block."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

_PROGRAMS = ("prometheus-pushgateway", "pushgateway")
_DEADLINE = 60.0


def absent() -> str:
    """Why none can be started here; empty when one can."""
    found = any(shutil.which(name) for name in _PROGRAMS)
    return "" if found else "Pushgateway is not installed: Debian's package prometheus-pushgateway has it"


@contextmanager
def pushgateway() -> Iterator[str]:
    """The address of a server that is ready."""
    program = next(found for name in _PROGRAMS if (found := shutil.which(name)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [program, f"--web.listen-address={url.removeprefix('http://')}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _DEADLINE
        while not _is_ready(url):
            assert process.poll() is None, "Pushgateway ended at once"
            assert time.monotonic() < deadline, "Pushgateway does not answer"
            time.sleep(0.02)
        yield url
    finally:
        process.terminate()
        process.wait(_DEADLINE)


def _is_ready(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
    except OSError:
        return False
    return True
