"""A server of the Prometheus family as a process of one's own: a free port on the loopback, gone with the block."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

_DEADLINE = 60.0


@contextmanager
def ready(name: str, command: Callable[[str], Sequence[str]]) -> Iterator[str]:
    """The address of a server that says that it is ready; `command` gets HOST:PORT."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(command(address), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _DEADLINE
        while not _is_ready(f"http://{address}"):
            assert process.poll() is None, f"{name} ended at once"
            assert time.monotonic() < deadline, f"{name} does not answer"
            time.sleep(0.02)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(_DEADLINE)


def _is_ready(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
    except OSError:
        return False
    return True
