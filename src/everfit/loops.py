"""Work done again and again in threads: whatever fails in a round is told once, sent as an alarm, and tried again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from everfit.errors import Conflict, EverfitError
from everfit.records.watch import Alarm, AlarmKind
from everfit.wiring import bell
from everfit.workspace import Workspace

GRACE_SECONDS = 5.0
_REMIND_SECONDS = 3600.0
_logger = logging.getLogger("everfit.service")

Follow = tuple[str, Callable[[], object], timedelta]  # a name, the work, and the longest time between two rounds


@dataclass(slots=True)
class Told:
    """What was last told of a piece of work, and when."""

    text: str = ""
    at: float = 0.0

    def is_news(self, text: str) -> bool:
        """Whether the text is another one, or old enough to be told again."""
        now = time.monotonic()
        if text == self.text and now - self.at < _REMIND_SECONDS:
            return False
        self.text, self.at = text, now
        return bool(text)


def thread(
    workspace: Workspace,
    name: str,
    work: Callable[[], object],
    every: timedelta,
    stop: threading.Event,
    share: float = 1.0,
) -> threading.Thread:
    """A thread that is to `repeat` the work."""
    given = (workspace, name, work, every, stop, None, share)
    return threading.Thread(target=repeat, args=given, name=name, daemon=True)


def repeat(
    workspace: Workspace,
    name: str,
    work: Callable[[], object],
    every: timedelta,
    stop: threading.Event,
    wait: Callable[[float], object] | None = None,
    share: float = 1.0,
) -> None:
    """Does the work until `stop`, with a pause after each round, or until `wait` returns. The work takes at most that
    share of the time: what takes long is done less often."""
    told = Told()
    while not stop.is_set():
        began = time.monotonic()
        once(workspace, name, work, told)
        took = time.monotonic() - began
        (wait or stop.wait)(max(every.total_seconds(), took * (1 / share - 1)))


def once(workspace: Workspace, name: str, work: Callable[[], object], told: Told) -> None:
    """Does the work; what it raises is told where it is news, and goes no further."""
    try:
        work()
        told.is_news("")
    except Conflict as error:  # somebody else was first: what is to be done is decided anew at the next look
        workspace.progress.note(f"{name}: {error}")
    except Exception as error:  # noqa: BLE001  a loop outlives whatever went wrong in one round, and says so
        text = str(error) if isinstance(error, EverfitError) else f"{type(error).__name__}: {error}"
        if told.is_news(text):
            _report(workspace, name, error, text)


def _report(workspace: Workspace, name: str, error: Exception, text: str) -> None:
    workspace.progress.note(f"{name} failed: {text}")
    if not isinstance(error, EverfitError):
        _logger.error("%s failed", name, exc_info=error)
    from everfit.flow import alerting

    now, ports = workspace.clock(), workspace.ports
    # One alarm a day for the same failure.
    key = f"{AlarmKind.FAILURE}:{now:%Y-%m-%d}:{name} {type(error).__name__}"
    try:
        alarm = Alarm(key, AlarmKind.FAILURE, now, f"{name} failed: {text}")
        alerting.send([alarm], ports.channels, ports.state, workspace.progress)
    except Exception as second:  # noqa: BLE001  the disk that broke the work may refuse the alarm too
        workspace.progress.note(f"alarm not delivered: {second}")


@contextmanager
def following(workspace: Workspace, follows: Sequence[Follow], ended: threading.Event) -> Iterator[None]:
    """Each work done again whenever the bell of this machine rings, and after its time without one."""
    ears = [bell(workspace.ports).listen() for _ in follows]
    threads = [
        threading.Thread(target=repeat, args=(workspace, name, work, every, ended, ear.wait), name=name, daemon=True)
        for (name, work, every), ear in zip(follows, ears, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for ear, thread in zip(ears, threads, strict=True):
            ear.wake()
            thread.join(GRACE_SECONDS)
            if not thread.is_alive():
                ear.close()
