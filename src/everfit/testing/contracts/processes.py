"""Real processes for the suites: several that start together, and one that is killed in the middle of its work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_DEADLINE = 120.0  # seconds after which a process counts as hanging

Make = Callable[[Path], Any]
Work = Callable[[Make, Path, int, Connection], None]


def together(work: Work, make: Make, folder: Path, count: int) -> list[Any]:
    """Runs `work` in `count` new processes, let go at the same moment, and returns the result of each.

    `work(make, folder, number, pipe)` sends a message when it is ready, waits for one, and sends its result."""
    context = get_context("spawn")
    pipes = [context.Pipe() for _ in range(count)]
    workers = [
        context.Process(target=work, args=(make, folder, number, there), daemon=True)
        for number, (_, there) in enumerate(pipes)
    ]
    for worker in workers:
        worker.start()
    try:
        for here, _ in pipes:
            _receive(here)
        for here, _ in pipes:
            here.send("go")
        return [_receive(here) for here, _ in pipes]
    finally:
        for worker in workers:
            worker.kill()
            worker.join(_DEADLINE)


def killed(work: Work, make: Make, folder: Path, messages: int, pause: float) -> list[Any]:
    """Starts `work`, kills it (SIGKILL) `pause` seconds after so many messages, and returns all that it had sent."""
    context = get_context("spawn")
    here, there = context.Pipe()
    worker = context.Process(target=work, args=(make, folder, 0, there), daemon=True)
    worker.start()
    there.close()
    received = [_receive(here) for _ in range(messages)]
    worker.join(pause)
    worker.kill()
    worker.join(_DEADLINE)
    with suppress(EOFError):
        while here.poll():
            received.append(here.recv())
    return received


def _receive(pipe: Connection) -> Any:
    if not pipe.poll(_DEADLINE):
        raise AssertionError("a process of the suite neither answered nor died")
    return pipe.recv()
