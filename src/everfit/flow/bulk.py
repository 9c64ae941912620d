"""A file of any size scored a piece at a time, so that a kill costs one piece and the result appears whole.

Finished pieces lie in a folder beside the target, each written under another name and renamed. Who runs the same thing
again goes on behind the last of them. What is scored, by what and into what pieces stands in the folder's `plan`; where
that differs, the pieces are thrown away.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from filelock import FileLock, Timeout

from everfit.errors import StorageError
from everfit.ports import Batches, Source

ROWS = 20_000
_PLAN = "plan"
_PIECE = ".arrow"

# The rows of one piece, and how many came before it.
Piece = tuple[pl.DataFrame, int]
# These to one answer a row.
Answer = Callable[[pl.DataFrame, int], pl.DataFrame]
# The same for pieces that are taken as they are needed: packed answers, in the order of the pieces.
Answers = Callable[[Iterable[Piece]], Iterator[bytes]]
# How many rows of the file are done.
Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of a file: its rows, how many of them an earlier run had done, how many each version answered, and the
    first answers."""

    rows: int
    resumed: int
    versions: dict[int, int]
    first: pl.DataFrame


def score(
    source: Source,
    target: Path | None,
    answers: Answers,
    plan: str,
    tell: Tell,
    rows: int = ROWS,
    columns: Collection[str] | None = None,
) -> Scored:
    """Answers every row of the source and writes the answers to `target`, a .csv or .parquet file, if there is one.

    `columns` are those that the answers depend on, all if it is not given; `plan` names all else that they depend on.
    Raises what the source and `answers` raise, and StorageError when the disk refuses or another process is at work on
    the same target; finished pieces are kept.
    """
    with _folder(target, f"{plan} {rows}") as folder:
        done = len(_pieces(folder))
        ends: deque[int] = deque()  # of the pieces under way
        pieces = _read(_tables(source, rows, done * rows, columns), done * rows, ends)
        for number, found in enumerate(answers(pieces), start=done):
            _write(found, folder / f"{number:08d}{_PIECE}")
            tell(ends.popleft())
        table = pl.scan_ipc(_pieces(folder))
        if target is not None:
            _assemble(table, target)
        return _summary(table, done * rows)


def here(answer: Answer) -> Answers:
    """Answers by this process, a piece when it is asked for."""
    return lambda pieces: (packed(answer(table, before)) for table, before in pieces)


def packed(answers: pl.DataFrame) -> bytes:
    """A piece's answers as they are kept: Arrow takes half of Parquet's time, which is spent once, at the end."""
    found = io.BytesIO()
    answers.write_ipc(found, compression="lz4")
    return found.getvalue()


def _read(tables: Iterable[pl.DataFrame], before: int, ends: deque[int]) -> Iterator[Piece]:
    """Each table with how many rows came before it; its last row is noted in `ends`."""
    for table in tables:
        ends.append(before + table.height)
        yield table, before
        before += table.height


def _tables(source: Source, rows: int, skip: int, columns: Collection[str] | None) -> Iterator[pl.DataFrame]:
    """From row `skip` on, in tables of `rows` rows; a source that cannot be read in pieces is read whole."""
    if isinstance(source, Batches):
        yield from source.batches(rows, skip, columns)
        return
    whole = source.read()
    yield from (whole[start : start + rows] for start in range(skip, whole.height, rows))


@contextmanager
def _folder(target: Path | None, plan: str) -> Iterator[Path]:
    """Where the pieces lie; it goes when the work is done."""
    if target is None:
        with tempfile.TemporaryDirectory(prefix="everfit-") as temporary:
            yield Path(temporary)
        return
    folder = target.with_name(f".{target.name}.parts")
    try:
        with FileLock(folder.with_suffix(".lock"), timeout=0):
            _prepare(folder, plan)
            yield folder
            shutil.rmtree(folder)
            folder.with_suffix(".lock").unlink(missing_ok=True)
    except Timeout as error:
        raise StorageError(
            "another process is writing this file",
            where=str(target),
            fix="wait for it, or choose another place with -o",
        ) from error
    except (OSError, pl.exceptions.PolarsError) as error:  # polars says a full disk in an error of its own
        raise StorageError(
            f"cannot be written: {getattr(error, 'strerror', None) or error}",
            where=str(target),
            fix="make room, or choose another place with -o; run again to go on",
        ) from error


def _prepare(folder: Path, plan: str) -> None:
    noted = folder / _PLAN
    if noted.is_file() and noted.read_text(encoding="utf-8") == plan:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    noted.write_text(plan, encoding="utf-8")


def _pieces(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_PIECE}"))


def _write(answers: bytes, piece: Path) -> None:
    unfinished = piece.with_suffix(".unfinished")
    unfinished.write_bytes(answers)
    unfinished.replace(piece)


def _assemble(found: pl.LazyFrame, target: Path) -> None:
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        if target.suffix == ".csv":
            found.sink_csv(unfinished)
        else:
            found.sink_parquet(unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _summary(found: pl.LazyFrame, resumed: int) -> Scored:
    counts = found.group_by("version").len().sort("len", descending=True).collect()
    versions = {int(version): int(count) for version, count in counts.rows()}
    return Scored(sum(versions.values()), resumed, versions, found.head(5).collect())
