"""Some columns of many records as a frame: what a look at production reads, a hundred thousand records a tenth of a
second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain, groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
import polars as pl

from everfit.records.prediction import PredictionBatch
from everfit.records.table import Kind
from everfit.serving.segments import runs
from everfit.serving.segments.columns import FIELDS, DataType, values

_NUMBERS = frozenset({Kind.NUMERIC, Kind.BOOLEAN})


def wanted(
    columns: Iterable[str],
    features: Mapping[str, Kind],
    inputs: Mapping[str, Kind] = MappingProxyType({}),
    classes: Iterable[str] = (),
) -> dict[str, DataType]:
    """The types of a frame's columns: fields by name, then `features.NAME`, a number or a text by its kind, then
    `input.NAME`, what callers sent: numbers as such, all else, yes or no too, as the text that was sent, then
    `probabilities.NAME` of several classes. Raises ValueError for a column that is no field.

    >>> wanted(["id"], {"plan": Kind.CATEGORICAL}, {"paid": Kind.BOOLEAN})
    {'id': String, 'features.plan': String, 'input.paid': String}
    """
    unknown = [name for name in columns if name not in FIELDS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no column of the prediction log; there are {', '.join(FIELDS)}")
    kinds = {f"features.{name}": pl.Float64 if kind in _NUMBERS else pl.String for name, kind in features.items()}
    sent = {f"input.{name}": pl.Float64 if kind is Kind.NUMERIC else pl.String for name, kind in inputs.items()}
    shares: dict[str, DataType] = {f"probabilities.{name}": pl.Float64 for name in classes}
    return {name: FIELDS[name] for name in columns} | kinds | sent | shares


Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


def within(frame: Frame, since: datetime | None, until: datetime | None) -> Frame:
    """The rows with since <= time < until."""
    time = pl.col("time")
    if since is not None:
        frame = frame.filter(time >= since)
    return frame if until is None else frame.filter(time < until)


def of_parquet(frame: pl.DataFrame, columns: Mapping[str, DataType]) -> pl.DataFrame:
    """The columns of a Parquet file as these types; null where it has none of a name."""
    return frame.select(
        _as(frame[name], kind) if name in frame.columns else pl.lit(None, kind).alias(name)
        for name, kind in columns.items()
    )


def _as(column: pl.Series, kind: DataType) -> pl.Series:
    if column.dtype == pl.Binary:
        return _series(column.name, values(column), kind)
    return column.cast(kind, strict=False)


@lru_cache(maxsize=64)
def reader(columns: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """Reads these columns of a line, `time` among them, and passes over the rest: four times as fast as all of it."""
    places = {name: f"c{place}" for place, name in enumerate(columns)}
    fields = [(place, Any, msgspec.field(name=name, default=None)) for name, place in places.items() if name in FIELDS]
    groups = [(group, msgspec.defstruct(group.title(), _members(group, places))) for group in _asked(columns)]
    # A group that a line does not have, for its model has none, is one of nothing.
    found = [(group, kind, msgspec.field(default_factory=kind)) for group, kind in groups]
    return msgspec.json.Decoder(msgspec.defstruct("Line", [*found, *fields]))


def _asked(columns: Iterable[str]) -> list[str]:
    """The groups that any of the columns is of; what is not asked for is not read."""
    of = {name.partition(".")[0] for name in columns if name not in FIELDS}
    return [group for group in runs.GROUPS if group in of]


def _members(group: str, places: Mapping[str, str]) -> list[tuple[str, Any, Any]]:
    return [
        (place, Any, msgspec.field(name=name.removeprefix(f"{group}."), default=None))
        for name, place in places.items()
        if name not in FIELDS and name.startswith(f"{group}.")
    ]


def of_lines(lines: Sequence[Any], columns: Mapping[str, DataType]) -> pl.DataFrame:
    """The columns of lines that `reader` read, and of batches."""
    stretches = [list(found) for _, found in groupby(lines, type)]
    series = []
    for i, (name, kind) in enumerate(columns.items()):
        of_line = attrgetter(f"c{i}" if name in FIELDS else f"{name.partition('.')[0]}.c{i}")
        values: list[Any] = []
        for found in stretches:
            if isinstance(found[0], PredictionBatch):
                values += chain.from_iterable(_of_batch(batch, name) for batch in found)
            else:
                values += map(of_line, found)
        series.append(_series(name, values, kind))
    return pl.DataFrame(series)


def _of_batch(batch: PredictionBatch, name: str) -> Sequence[Any]:
    if name == "time":  # as lines have it
        return [batch.time.isoformat()] * len(batch.ids)
    return runs.field(batch, name) if name in FIELDS else runs.column(batch, *name.split(".", 1))


def _series(name: str, found: list[Any], kind: DataType) -> pl.Series:
    if kind == pl.String:  # a class is a text, whatever it looks like
        found = [value if value is None or isinstance(value, str) else _text(value) for value in found]
    if kind == FIELDS["time"]:
        return pl.Series(name, found, pl.String).str.to_datetime("%+", time_unit="us", time_zone="UTC")
    try:
        return pl.Series(name, found, kind)
    except TypeError:  # whole numbers or texts of numbers among the others: ten times slower
        return pl.Series(name, found, kind, strict=False)


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
