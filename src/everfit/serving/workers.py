"""Several worker processes on one listening socket: started, watched, started again when they die, drained together."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from everfit.errors import StepFailed
from everfit.serving.server import DRAIN_SECONDS

READY = "ready"
_LOOK_SECONDS = 0.1
# A worker that dies younger than this did not get as far as answering; so many of them in a row end it all.
_YOUNG_SECONDS, _TRIES = 5.0, 3
_logger = logging.getLogger("everfit.serving")


class Workers:
    """Runs `count` processes of a command, each with the socket at the file descriptor that is its last argument.

    A worker says READY on its standard output when it answers, and ends when its standard input does: nobody outlives
    a supervisor that was killed.
    """

    def __init__(self, command: Sequence[str], listener: socket.socket, count: int) -> None:
        self._command = [*command, str(listener.fileno())]
        self._listener = listener
        self._processes: list[tuple[subprocess.Popen[str], float]] = []
        self._count = count
        self._short_lives = 0

    def run(self, started: Callable[[int], None], stop: threading.Event) -> None:
        """Until SIGINT, SIGTERM or `stop`; then what is under way is answered. `started` is told the port when all
        workers answer. Raises StepFailed when workers die as soon as they are started."""
        try:
            with _signals(stop):
                self._processes = [self._start() for _ in range(self._count)]
                if self._all_ready(stop):
                    started(self._listener.getsockname()[1])
                while not stop.wait(_LOOK_SECONDS):
                    self._replace_dead()
        finally:
            self._drain()

    def _start(self) -> tuple[subprocess.Popen[str], float]:
        process = subprocess.Popen(  # noqa: S603
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(self._listener.fileno(),),
        )
        return process, time.monotonic()

    def _all_ready(self, stop: threading.Event) -> bool:
        for place in range(self._count):
            while not stop.is_set() and not self._is_ready(place):
                self._replace(place)
        return not stop.is_set()

    def _is_ready(self, place: int) -> bool:
        """Waits for the worker's word; false when it ended without it."""
        said = self._processes[place][0].stdout
        return said is not None and any(line.strip() == READY for line in said)

    def _replace_dead(self) -> None:
        for place, (process, _) in enumerate(self._processes):
            if process.poll() is not None:
                self._replace(place)

    def _replace(self, place: int) -> None:
        process, since = self._processes[place]
        lived = time.monotonic() - since
        self._short_lives = self._short_lives + 1 if lived < _YOUNG_SECONDS else 0
        if self._short_lives > _TRIES:
            raise StepFailed(
                f"workers end as soon as they are started, the last one with exit code {process.returncode}",
                where="serving.workers",
                fix="what they said stands above; `serving.workers: 1` runs the server in this process",
            )
        _logger.warning(
            "worker %d ended with %s after %.0f s; starting another", process.pid, process.returncode, lived
        )
        self._processes[place] = self._start()

    def _drain(self) -> None:
        for process, _ in self._processes:
            with suppress(OSError):
                process.terminate()
        deadline = time.monotonic() + DRAIN_SECONDS + 5
        for process, _ in self._processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()


def worker(stop: threading.Event) -> Callable[[int], None]:
    """What a worker does beside serving: says READY, and stops when its supervisor is gone."""

    def orphaned() -> None:
        sys.stdin.read()
        stop.set()

    def ready(_: int) -> None:
        print(READY, flush=True)
        threading.Thread(target=orphaned, name="supervisor", daemon=True).start()

    return ready


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set the event, where signals can be handled at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
