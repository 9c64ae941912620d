"""A project's server in a thread, and a client that talks to it over the loopback."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from everfit import service
from tests.integration.projects import SmallProject


@contextmanager
def served(project: SmallProject, *overrides: str) -> Iterator[httpx.Client]:
    """The server on a free port; it follows the ledger ten times a second."""
    workspace = project.open("serving.refresh=0.1s", *overrides)
    stop, ports = threading.Event(), queue.Queue[int | BaseException]()

    def run() -> None:
        try:
            service.serve(workspace, port=0, started=ports.put, stop=stop)
        except BaseException as error:
            ports.put(error)
            raise

    thread = threading.Thread(target=run, name="server")
    thread.start()
    try:
        port = ports.get(timeout=300)
        if isinstance(port, BaseException):
            raise port
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
            yield client
    finally:
        stop.set()
        thread.join(60)
