"""The prediction log: JSON lines in a folder, written before anybody is answered.

Each process writes segments of its own, so writers never meet and a line torn by a crash is never glued to the next
record. A segment's name says which record times it can hold, when it was opened and by whom:
`FROM_TO_OPENED_WRITER.jsonl` (UTC). Readers skip segments by name.

Acknowledged means handed to the operating system in one write: it survives kill -9 of the process. It survives the
loss of power only with `sync=True`, which waits for the disk at every append.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from everfit.errors import StorageError
from everfit.records.codec import decode, encode
from everfit.records.prediction import PredictionRecord

_STAMP = "%Y%m%dT%H%M"
_NAME = re.compile(r"(\d{8}T\d{4})_(\d{8}T\d{4})_(\d{20})_[0-9a-f]{8}\.jsonl")
_HOUR = timedelta(hours=1)
# Threads that append around the full hour should not open a segment each time.
_MARGIN = timedelta(minutes=1)


@dataclass(slots=True)
class _Segment:
    """An open segment: the record times it may hold, and how many bytes of it are whole records."""

    path: Path
    file: int
    since: datetime
    until: datetime
    owner: int
    size: int = 0

    def holds(self, first: datetime, last: datetime) -> bool:
        return self.since <= first and last < self.until and self.owner == os.getpid()


class JsonLinesLog:
    """A `PredictionLog` in a folder; safe for threads and for any number of processes at once.

    `segment_bytes` is the size from which a new segment is begun. Within one process records are read in the order
    written; between processes, in the order in which their segments were opened.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = 64_000_000, sync: bool = False) -> None:
        self._folder = folder
        self._limit = segment_bytes
        self._sync = sync
        self._segment: _Segment | None = None
        self._opened = 0
        self._lock = Lock()

    def append(self, records: Sequence[PredictionRecord]) -> None:
        """Writes the records, all or none. Raises StorageError when the disk is full or the folder not writable."""
        if not records:
            return
        data = b"".join([encode(record) + b"\n" for record in records])
        times = [record.time for record in records]
        with self._lock:
            try:
                segment = self._segment_for(min(times), max(times))
                self._write(segment, data)
            except OSError as error:
                raise StorageError(
                    f"the prediction log cannot be written: {error.strerror or error}",
                    where=str(self._folder),
                    fix="free space or make the folder writable; nothing is answered until then",
                ) from error

    def read(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[PredictionRecord]:
        """The records with since <= time < until, one at a time. A torn last line of a segment is passed over; any
        other line that is no record raises StorageError with its file and number."""
        for path in _segments(self._folder, since, until):
            with path.open("rb") as file:
                yield from _read(file, path, since, until)

    def close(self) -> None:
        """Ends the open segment; the next append begins another."""
        with self._lock:
            if self._segment is not None:
                os.close(self._segment.file)
                self._segment = None

    def _segment_for(self, first: datetime, last: datetime) -> _Segment:
        current = self._segment
        if current is not None:
            if current.size < self._limit and current.holds(first, last):
                return current
            self._segment = None
            os.close(current.file)
        self._opened = max(self._opened + 1, time.time_ns())
        self._segment = _open(self._folder, first, last, self._opened)
        if self._sync:
            _sync_folder(self._folder)
        return self._segment

    def _write(self, segment: _Segment, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:  # a disk that fills takes what fits, and says why only on the next write
                rest = rest[os.write(segment.file, rest) :]
            if self._sync:
                os.fsync(segment.file)
        except OSError:
            self._undo(segment)
            raise
        segment.size += len(data)

    def _undo(self, segment: _Segment) -> None:
        """Takes back what was written of a batch that failed; the segment is left, and the next append opens one."""
        self._segment = None
        try:
            os.ftruncate(segment.file, segment.size)
        finally:
            os.close(segment.file)


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _open(folder: Path, first: datetime, last: datetime, opened: int) -> _Segment:
    since, until = _hour(first) - _MARGIN, _hour(last) + _HOUR + _MARGIN
    name = f"{since:{_STAMP}}_{until:{_STAMP}}_{opened:020d}_{secrets.token_hex(4)}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return _Segment(path, file, since, until, os.getpid())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _segments(folder: Path, since: datetime | None, until: datetime | None) -> list[Path]:
    """The segments that can hold such records, in the order opened."""
    found: list[tuple[str, Path]] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        name = _NAME.fullmatch(path.name)
        if name is None:
            continue
        start, end, opened = name.groups()
        if (since is None or _moment(end) > since) and (until is None or _moment(start) < until):
            found.append((opened, path))
    return [path for _, path in sorted(found)]


def _moment(stamp: str) -> datetime:
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)


def _read(file: BinaryIO, path: Path, since: datetime | None, until: datetime | None) -> Iterator[PredictionRecord]:
    for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):
            return
        record = decode(PredictionRecord, line, where=f"{path}:{number}")
        if (since is None or since <= record.time) and (until is None or record.time < until):
            yield record
