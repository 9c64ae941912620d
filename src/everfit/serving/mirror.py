"""Copies of requests for a version in the shadow: scored and logged off the answer's path.

A copy waits in a queue of bounded length for a thread of its own. Where the shadow is slower than the traffic, copies
are dropped and counted; where it fails, that is a record like any other. Nothing of it reaches a caller.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from queue import Full, Queue

from msgspec.structs import replace

from everfit.records.prediction import MIRRORED, PredictionRecord
from everfit.records.release import Arm
from everfit.serving.arms import Attempt, Snapshot, attempt
from everfit.serving.asking import Ask

LONGEST = 1000
_logger = logging.getLogger("everfit.serving")

Write = Callable[[Attempt, datetime], None]


@dataclass(frozen=True, slots=True)
class _Copy:
    snapshot: Snapshot
    arm: Arm
    asks: Sequence[Ask]
    at: datetime


class Mirror:
    """Scores copies in the background; `write` is given each attempt and the time of its request. `dropped` counts the
    rows that found the queue full, and `drop` is told of them."""

    def __init__(self, write: Write, longest: int = LONGEST, drop: Callable[[int], None] = lambda rows: None) -> None:
        self._write = write
        self._longest = longest
        self._drop = drop
        self._queue: Queue[_Copy] = Queue(longest)
        self._lock = threading.Lock()
        self._owner = 0
        self.dropped = 0

    def offer(self, snapshot: Snapshot, asks: Sequence[Ask], at: datetime) -> None:
        """Takes a copy of these rows for every version in the shadow; never waits and never raises."""
        for arm in snapshot.table.arms:
            if arm.mirrored:
                self._put(_Copy(snapshot, arm, asks, at))

    def drain(self) -> None:
        """Waits until everything taken so far is written."""
        self._queue.join()

    def _put(self, copy: _Copy) -> None:
        if self._owner != os.getpid():
            self._begin()
        try:
            self._queue.put_nowait(copy)
        except Full:
            self.dropped += len(copy.asks)
            self._drop(len(copy.asks))

    def _begin(self) -> None:
        """A fork has no thread of its parent's, and must not score its parent's copies."""
        with self._lock:
            if self._owner != os.getpid():
                self._queue = Queue(self._longest)
                self._owner = os.getpid()
                threading.Thread(target=self._work, args=(self._queue,), name="mirror", daemon=True).start()

    def _work(self, queue: Queue[_Copy]) -> None:
        while True:
            copy = queue.get()
            try:
                self._write(attempt(copy.snapshot, copy.arm, copy.asks), copy.at)
            except Exception as error:  # noqa: BLE001  a shadow that cannot be written down is nobody's answer
                _logger.warning("a mirrored request was lost: %s: %s", type(error).__name__, error)
            finally:
                queue.task_done()


def mirrored(records: Sequence[PredictionRecord], asks: Sequence[Ask]) -> list[PredictionRecord]:
    """The records of a shadow's attempt under the ids of the predictions that were answered."""
    return [replace(record, id=ask.id + MIRRORED) for record, ask in zip(records, asks, strict=True)]
