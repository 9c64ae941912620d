"""The segment that is being written, and how soon its bytes survive a loss of power."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from everfit.serving.segments import names

# How soon what was acknowledged also survives a loss of power: at once, within so long, when the system likes.
Fsync = timedelta | Literal["always", "never"]


@dataclass(slots=True)
class Segment:
    """An open segment: the record times it may hold, how many bytes of it are whole blocks, and how many records of
    these came in batches."""

    path: Path
    file: int
    since: datetime
    until: datetime
    owner: int
    size: int = 0
    batched: int = 0

    def holds(self, first: datetime, last: datetime) -> bool:
        """Whether records of these times belong here, and this process is its writer and not a fork of it."""
        return self.since <= first and last < self.until and self.owner == os.getpid()

    def is_full(self, size: int, batched: int) -> bool:
        """Whether it has so many bytes, or so many records in batches, whose Parquet form takes memory to make."""
        return self.size >= size or self.batched >= batched

    def write(self, data: bytes) -> None:
        """Hands the block to the operating system, all of it or nothing. Raises OSError."""
        rest = memoryview(data)
        try:
            while rest:  # a disk that fills takes what fits, and says why only on the next write
                rest = rest[os.write(self.file, rest) :]
        except OSError:
            os.ftruncate(self.file, self.size)
            raise
        self.size += len(data)


def open_segment(folder: Path, first: datetime, last: datetime, opened: int) -> Segment:
    """A new segment for records of these times; its lock says that its writer is alive. Raises OSError."""
    since, until = names.span(first, last)
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        path = names.fresh(folder, since, until, opened)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:
            return Segment(path, file, since, until, os.getpid())
        os.close(file)  # before it was locked, it was taken for one that a crash had left


def sync_folder(folder: Path) -> None:
    """Makes the folder's list of files survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Flusher:
    """Brings written segments to the disk in a thread of its own, once in a while; what it was told of is there at
    most `every` and one flush later. An error is raised at the next `check`."""

    def __init__(self, every: timedelta) -> None:
        self._every = every.total_seconds()
        self._lock = threading.Lock()
        self._dirty: dict[int, Segment] = {}
        self._done: list[Segment] = []
        self._folders: set[Path] = set()
        self._work = threading.Event()
        self._end = threading.Event()
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None
        self._owner = 0

    def opened(self, segment: Segment) -> None:
        """There is a new segment, which its folder must name after a loss of power."""
        self._own()
        with self._lock:
            self._folders.add(segment.path.parent)
        self._work.set()

    def wrote(self, segment: Segment) -> None:
        """The segment holds bytes that are not on the disk yet."""
        self._own()
        if segment.file not in self._dirty:
            with self._lock:
                self._dirty[segment.file] = segment
            self._work.set()

    def ended(self, segment: Segment) -> None:
        """The segment is not written any more: to be flushed and closed."""
        self._own()
        with self._lock:
            self._done.append(segment)
        self._work.set()

    def check(self) -> None:
        """Raises OSError when the last flush failed: what it should have kept may be lost with the power."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        """Flushes what there is and ends the thread."""
        self._end.set()
        self._work.set()
        if self._thread is not None and self._owner == os.getpid():
            self._thread.join()
        self._flush()
        self._owner = 0

    def _own(self) -> None:
        """Starts the thread, once in each process: a fork inherits none."""
        if self._owner == os.getpid():
            return
        self._lock, self._dirty, self._done, self._folders = threading.Lock(), {}, [], set()
        self._work, self._end = threading.Event(), threading.Event()
        self._owner = os.getpid()
        self._thread = threading.Thread(target=self._run, name="prediction log flush", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.is_set():
            self._work.wait()
            self._work.clear()
            self._flush()
            self._end.wait(self._every)

    def _flush(self) -> None:
        with self._lock:
            dirty, self._dirty = self._dirty, {}
            done, self._done = self._done, []
            folders, self._folders = self._folders, set()
        try:
            for segment in dirty.values():
                os.fdatasync(segment.file)
            for folder in folders:
                sync_folder(folder)
        except OSError as error:
            self._error = error
        for segment in done:
            os.close(segment.file)


def next_opened(last: int) -> int:
    """A number for a segment's place in the order of opening, above the last one of this writer."""
    return max(last + 1, time.time_ns())
