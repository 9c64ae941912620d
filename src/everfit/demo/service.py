"""The project's real HTTP server on a free port of this machine, and a client that sends it real requests."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import polars as pl

from everfit.demo.world import Clock, requests
from everfit.errors import StepFailed
from everfit.service import serve
from everfit.testing.churn import TIME
from everfit.workspace import Workspace

_BATCH = 500
_AROUND = 20
_POLL = 0.05


class Client:
    """Sends requests to the server, a connection for each: the server ends those that are idle."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str) -> Any:
        """The JSON of an answer. StepFailed when the server refuses."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The same for a request with a body."""
        return self._ask("POST", path, json.dumps(body, default=str))

    def predict(self, frame: pl.DataFrame, clock: Clock) -> int:
        """Asks about every customer in batches, the clock following their moments; returns how many were answered."""
        answered = 0
        for start in range(0, frame.height, _BATCH):
            batch = frame[start : start + _BATCH]
            clock.until(batch[TIME][-1])
            answered += len(self.post("/predict", {"rows": requests(batch).to_dicts()})["predictions"])
        return answered

    def _ask(self, method: str, path: str, body: str | None) -> Any:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        if answer.status != http.client.OK:
            raise StepFailed(f"the server answered {answer.status}: {text}", where=f"{method} {path}")
        return json.loads(text)


@contextmanager
def serving(workspace: Workspace) -> Iterator[Client]:
    """A client of the project's server, which runs in a thread until the end of the block."""
    ready, stop, ports = threading.Event(), threading.Event(), list[int]()

    def started(port: int) -> None:
        ports.append(port)
        ready.set()

    with ThreadPoolExecutor(1, thread_name_prefix="server") as pool:
        running = pool.submit(serve, workspace, "127.0.0.1", 0, started, stop)
        try:
            while not ready.wait(_POLL) and not running.done():
                pass
            if not ports:
                running.result()
            yield Client(ports[0])
        finally:
            stop.set()


@contextmanager
def asking(client: Client, row: Mapping[str, Any]) -> Iterator[list[int]]:
    """Asks the same thing again and again, from another thread, through the block and a little before and after it.
    Gives the versions that answered, in order; complete after the block. Raises what a refused request raises."""
    versions, stop = list[int](), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            versions.append(client.post("/predict", row)["version"])

    def more(running: Future[None]) -> None:
        enough = len(versions) + _AROUND
        while len(versions) < enough and not running.done():
            stop.wait(_POLL / 10)

    with ThreadPoolExecutor(1, thread_name_prefix="caller") as pool:
        running = pool.submit(ask)
        try:
            more(running)
            yield versions
            more(running)
        finally:
            stop.set()
        running.result()
