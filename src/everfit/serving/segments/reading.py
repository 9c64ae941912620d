"""A stored segment as records or as columns, whichever form it has, while others write it or make Parquet of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import polars as pl

from everfit.errors import StorageError
from everfit.records.prediction import Logged, PredictionRecord
from everfit.serving.segments import blocks, chosen, columns
from everfit.serving.segments.names import COMPACT, PLAIN, Stored

T = TypeVar("T")
_record: msgspec.json.Decoder[PredictionRecord] = msgspec.json.Decoder(PredictionRecord)


def records(
    segment: Stored, since: datetime | None = None, until: datetime | None = None
) -> Iterator[PredictionRecord]:
    """The segment's records with since <= time < until, in the order written. Raises StorageError where it is
    damaged."""
    found = _either(
        segment,
        lambda path: _each(_lines(path, _record), since, until),
        lambda path: columns.records(_parquet(path, since=since, until=until)),
    )
    return (one for one in found if _is_within(one, since, until))


def lines(segment: Stored) -> Iterator[Logged]:
    """The segment's lines as they were written, batches as such. Raises StorageError where it is damaged."""
    return _lines(segment.path, _record)


def frames(segment: Stored, wanted: Mapping[str, columns.DataType]) -> Iterator[pl.DataFrame]:
    """The segment's records as frames of the wanted columns, `time` among them. Raises StorageError as `records`."""
    reader = chosen.reader(tuple(wanted))
    return _either(
        segment,
        lambda path: iter([chosen.of_lines(list(_lines(path, reader)), wanted)]),
        lambda path: iter([chosen.of_parquet(_parquet(path, list(wanted)), wanted)]),
    )


def _either(
    segment: Stored, lines: Callable[[Path], Iterator[T]], parquet: Callable[[Path], Iterator[T]]
) -> Iterator[T]:
    if segment.path.suffix != COMPACT:
        try:
            yield from lines(segment.path)
            return
        except FileNotFoundError:  # it became a Parquet file since the folder was listed
            pass
    with suppress(FileNotFoundError):  # or it was older than what is kept
        yield from parquet(segment.compact)


def _each(lines: Iterable[Logged], since: datetime | None, until: datetime | None) -> Iterator[PredictionRecord]:
    for line in lines:
        if isinstance(line, PredictionRecord):
            yield line
        elif _is_within(line, since, until):
            yield from line.records()


def _is_within(line: Logged, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or since <= line.time) and (until is None or line.time < until)


def _lines(path: Path, decoder: msgspec.json.Decoder[Any]) -> Iterator[Any]:
    with path.open("rb") as file:
        for block in (blocks.plain if path.suffix == PLAIN else blocks.blocks)(file, path):
            yield from blocks.decode(block, decoder, path)


def _parquet(
    path: Path, names: list[str] | None = None, since: datetime | None = None, until: datetime | None = None
) -> pl.DataFrame:
    try:
        if names is not None:
            there = pl.read_parquet_schema(path)
            names = [name for name in names if name in there]
        if since is not None or until is not None:  # row groups of other times are not read at all
            return chosen.within(pl.scan_parquet(path), since, until).collect()
        return pl.read_parquet(path, columns=names)
    except pl.exceptions.PolarsError as error:
        raise StorageError(
            f"cannot be read as Parquet: {error}",
            where=str(path),
            fix="restore the file from a backup, or remove it: its predictions are then missing from every look",
        ) from error
