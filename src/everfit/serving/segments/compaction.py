"""What its writers are done with: torn ends cut off, lines made into Parquet, and what is too old removed.

python -m everfit.serving.segments.compaction FOLDER [SECONDS|-] [BYTES|-]
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from everfit.errors import StorageError
from everfit.serving.segments import blocks, columns, names, reading
from everfit.serving.segments.names import COMPACT, LIVE, PLAIN, Stored
from everfit.serving.segments.writing import sync_folder

_HOUR = timedelta(hours=1)
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class Keep:
    """How long, and how many bytes of, Parquet files are kept; None keeps all."""

    time: timedelta | None = None
    size: int | None = None


EVERYTHING = Keep()


def run(folder: Path, keep: Keep = EVERYTHING) -> None:
    """All of it in a process of its own, so that who serves meanwhile does not share an interpreter with it. Raises
    StorageError with what that process said when it failed."""
    limits = [keep.time.total_seconds() if keep.time is not None else "-", keep.size if keep.size is not None else "-"]
    command = [sys.executable, "-m", __spec__.name, str(folder), *map(str, limits)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode in (-signal.SIGTERM, -signal.SIGINT):
        return  # whoever asked is being stopped, and the next one does it
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise StorageError(
            f"the prediction log could not be compacted: {said[-1] if said else f'exit {done.returncode}'}",
            where=str(folder),
            fix="mend or remove the file named; nothing is lost, but reading is slower until then",
        )


def main(folder: str, seconds: str = "-", size: str = "-") -> None:
    """Repairs, compacts and expires."""
    os.nice(19)
    now, place = datetime.now(UTC), Path(folder)
    try:
        repair(place)
        compact(place, now)
        time = None if seconds == "-" else timedelta(seconds=float(seconds))
        expire(place, Keep(time, None if size == "-" else int(size)), now)
    except StorageError as error:
        sys.exit(f"{error.where}: {error.what}")


def repair(folder: Path) -> int:
    """Cuts off what crashes left at the ends of segments whose writers are gone; how many bytes that were. Nobody was
    answered from them."""
    cut = 0
    for segment in names.stored(folder):
        if segment.path.suffix != LIVE:
            continue
        with _taken(segment.path) as mine:
            if mine:
                end = blocks.whole(segment.path)
                cut += segment.path.stat().st_size - end
                os.truncate(segment.path, end)
    return cut


def compact(folder: Path, now: datetime) -> list[Path]:
    """Makes a Parquet file of every segment whose writer is done with it; the files made. Any number of processes may
    ask at once: one of them does it. Raises StorageError at a damaged segment, which stays as it is."""
    made: list[Path] = []
    if not folder.is_dir():
        return made
    with _only_one(folder) as mine:
        for leftover in folder.glob(f"*{_UNFINISHED}") if mine else ():
            leftover.unlink()
        for segment in names.stored(folder) if mine else ():
            if segment.path.suffix == COMPACT:
                # A crash came between making the one and removing the other.
                for ending in (LIVE, PLAIN):
                    segment.path.with_suffix(ending).unlink(missing_ok=True)
            elif segment.path.suffix == LIVE or segment.until + _HOUR < now:  # .jsonl is of a version without locks
                with _taken(segment.path) as done:
                    made += _compact(segment) if done else []
    return made


def expire(folder: Path, keep: Keep, now: datetime) -> list[Path]:
    """Removes the Parquet files that are older than is kept, and the oldest while all together are too large."""
    held = [segment for segment in names.stored(folder) if segment.path.suffix == COMPACT]
    sizes = {segment.path: segment.path.stat().st_size for segment in held}
    gone: list[Path] = []
    for segment in held:
        old = keep.time is not None and segment.until < now - keep.time
        if old or (keep.size is not None and sum(sizes.values()) > keep.size):
            segment.path.unlink(missing_ok=True)
            del sizes[segment.path]
            gone.append(segment.path)
    return gone


def _compact(segment: Stored) -> list[Path]:
    found = list(reading.lines(segment))
    if found:
        unfinished = segment.path.with_suffix(_UNFINISHED)
        with unfinished.open("wb") as file:
            columns.table(found).write_parquet(file, compression="zstd", row_group_size=50_000)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(segment.compact)
        sync_folder(segment.path.parent)
    segment.path.unlink()
    return [segment.compact] if found else []


@contextmanager
def _taken(path: Path) -> Iterator[bool]:
    """Whether the file's writer is gone, which holds its lock while it lives; the lock is held meanwhile."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = True
    except BlockingIOError:
        mine = False
    try:
        yield mine
    finally:
        os.close(file)


@contextmanager
def _only_one(folder: Path) -> Iterator[bool]:
    (folder / ".compaction").touch(mode=0o600)
    with _taken(folder / ".compaction") as mine:
        yield mine


if __name__ == "__main__":
    main(*sys.argv[1:])
