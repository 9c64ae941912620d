"""The prediction log: segments of JSON lines with checksums, written before anybody is answered.

Each process writes segments of its own, so writers never meet and what a crash tore is never glued to the next record.
A segment that its writer is done with becomes a Parquet file (`everfit.serving.segments.compaction`); both are read as
one log, by rows or, much faster, by columns.

Acknowledged means handed to the operating system in one write: it survives kill -9 of the process. `fsync` says how
soon it also survives a loss of power.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

import polars as pl

from everfit.errors import StorageError
from everfit.records.prediction import Logged, PredictionBatch, PredictionRecord
from everfit.records.table import Kind
from everfit.serving.segments import blocks, chosen, compaction, names, reading
from everfit.serving.segments.columns import FIELDS
from everfit.serving.segments.compaction import EVERYTHING, Keep
from everfit.serving.segments.writing import Flusher, Fsync, Segment, next_opened, open_segment, sync_folder


class JsonLinesLog:
    """A `PredictionLog` in a folder; safe for threads and for any number of processes at once.

    A new segment is begun from `segment_bytes` on, and from `segment_rows` that came in batches, which are small.
    Within one process records are read in the order written; between processes, in the order in which their segments
    were opened.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = 32_000_000,
        segment_rows: int = 50_000,
        fsync: Fsync = timedelta(seconds=1),
        keep: Keep = EVERYTHING,
    ) -> None:
        self._folder = folder
        self._limits = (segment_bytes, segment_rows)
        self._keep = keep
        self._flusher = Flusher(fsync) if isinstance(fsync, timedelta) else None
        self._always = fsync == "always"
        self._segment: Segment | None = None
        self._opened = 0
        self._lock = Lock()

    @property
    def folder(self) -> Path:
        """Where the segments are."""
        return self._folder

    def append(self, records: Sequence[Logged]) -> None:
        """Writes the records, all or none. Raises StorageError when the disk is full or the folder not writable."""
        if not records:
            return
        data = blocks.encode(records)
        times = [record.time for record in records]
        batched = sum([len(one.ids) for one in records if one.__class__ is PredictionBatch])
        with self._lock:
            try:
                segment = self._segment_for(min(times), max(times))
                self._write(segment, data)
                segment.batched += batched
            except OSError as error:
                raise StorageError(
                    f"the prediction log cannot be written: {error.strerror or error}",
                    where=str(self._folder),
                    fix="free space or make the folder writable; nothing is answered until then",
                ) from error

    def read(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[PredictionRecord]:
        """The records with since <= time < until, one at a time. A torn end of a segment is passed over; anything
        else that is no record raises StorageError with its file and line."""
        for segment in names.stored(self._folder, since, until):
            yield from reading.records(segment, since, until)

    def frame(
        self,
        fields: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
        features: Mapping[str, Kind] | None = None,
        inputs: Mapping[str, Kind] | None = None,
        classes: Sequence[str] = (),
    ) -> pl.DataFrame:
        """Some columns of the same records, as the port says."""
        wanted = chosen.wanted(fields, features or {}, inputs or {}, classes)
        timed = wanted | {"time": FIELDS["time"]}
        frames = [pl.DataFrame(schema=wanted)]
        for segment in names.stored(self._folder, since, until):
            frames += [
                chosen.within(part, since, until).select(list(wanted)) for part in reading.frames(segment, timed)
            ]
        return pl.concat(frames)

    def tend(self) -> None:
        """Cuts off torn ends, makes Parquet of what its writers are done with, and removes what is too old: in a
        process of its own, with what is left of the processor. Raises StorageError for a damaged segment."""
        if self._folder.is_dir():
            compaction.run(self._folder, self._keep)

    def close(self) -> None:
        """Ends the open segment, on the disk; the next append begins another."""
        with self._lock:
            self._leave()
            if self._flusher is not None:
                self._flusher.close()

    def _segment_for(self, first: datetime, last: datetime) -> Segment:
        current = self._segment
        if current is not None and not current.is_full(*self._limits) and current.holds(first, last):
            return current
        self._leave()
        self._opened = next_opened(self._opened)
        self._segment = open_segment(self._folder, first, last, self._opened)
        if self._flusher is not None:
            self._flusher.opened(self._segment)
        elif self._always:
            sync_folder(self._folder)
        return self._segment

    def _write(self, segment: Segment, data: bytes) -> None:
        try:
            if self._flusher is not None:
                self._flusher.check()
            segment.write(data)
            if self._always:
                os.fdatasync(segment.file)
        except OSError:
            self._leave()
            raise
        if self._flusher is not None:
            self._flusher.wrote(segment)

    def _leave(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        if self._flusher is not None:
            self._flusher.ended(segment)
        else:
            os.close(segment.file)
