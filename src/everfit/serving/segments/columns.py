"""Records as the columns of a Parquet file, and back as they were.

There is a column for each field, and one for each name in a record's `input`, `features` and `probabilities`:
`input.tenure`, `features.tenure`. Where a name's values are of several types they are stored as JSON, in bytes. The
columns `input`, `features` and `probabilities` list the names that a record had, null where it had no such group; a
group that no record had has no column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, repeat
from typing import Any

import msgspec
import numpy as np
import polars as pl

from everfit.records.prediction import Logged, PredictionRecord
from everfit.serving.segments import runs
from everfit.serving.segments.runs import Run

DataType = pl.DataType | type[pl.DataType]

FIELDS: Mapping[str, DataType] = {
    "id": pl.String,
    "time": pl.Datetime("us", "UTC"),
    "entity": pl.String,
    "arm": pl.String,
    "version": pl.Int64,
    "score": pl.Float64,
    "prediction": pl.String,
    "latency": pl.Float64,
    "error": pl.String,
}
_TYPES: Mapping[type, DataType] = {float: pl.Float64, int: pl.Int64, bool: pl.Boolean, str: pl.String}


def table(records: Sequence[Logged]) -> pl.DataFrame:
    """(records, columns) as a Parquet file holds them, a row for each row of a batch."""
    found = list(runs.runs(records))
    columns = []
    for name, kind in FIELDS.items():
        if name in runs.SHARED:
            shared = [(value, count) for run in found for value, count in runs.shared(run, name)]
            columns.append(_repeated(name, shared, kind))
            continue
        values = list(chain.from_iterable(runs.field(run, name) for run in found))
        # A prediction is a class or a number, and is kept as the one or the other.
        columns.append(_of_one_type(name, values) if name == "prediction" else pl.Series(name, values, kind))
    made: dict[str, pl.Series] = {}
    for group in runs.GROUPS:
        made |= {column.name: column for column in _group(group, found, made)}
    return pl.DataFrame([*columns, *made.values()])


def _group(group: str, found: Sequence[Run], made: Mapping[str, pl.Series]) -> Iterator[pl.Series]:
    had = [(runs.names(run, group), runs.length(run)) for run in found]
    if all(names is None for names, _ in had):
        return
    yield _repeated(group, [(_list_of_names(names), count) for names, count in had], pl.String)
    for name in dict.fromkeys(chain.from_iterable(names or () for names, _ in had)):
        sent = made.get(f"input.{name}")
        is_as_sent = group == "features" and all(runs.is_as_sent(run, name) for run in found)
        if is_as_sent and sent is not None and sent.dtype != pl.Binary:
            yield (sent.cast(pl.Float64) if sent.dtype == pl.Int64 else sent).alias(f"{group}.{name}")
        else:
            values = chain.from_iterable(runs.column(run, group, name) for run in found)
            yield _of_one_type(f"{group}.{name}", list(values))


def _repeated(name: str, shared: Sequence[tuple[Any, int]], kind: DataType) -> pl.Series:
    """Each value so many times."""
    places = np.repeat(np.arange(len(shared)), [count for _, count in shared])
    return pl.Series(name, [value for value, _ in shared], kind).gather(places)


def _of_one_type(name: str, values: list[Any]) -> pl.Series:
    types = set(map(type, values)) - {type(None)}
    if len(types) < 2:
        try:
            return pl.Series(name, values, _TYPES[types.pop()] if types else pl.String)
        except (OverflowError, TypeError):  # a whole number beyond 64 bits
            pass
    return pl.Series(name, [None if v is None else msgspec.json.encode(v) for v in values], pl.Binary)


@cache
def _list_of_names(names: tuple[str, ...] | None) -> str | None:
    return None if names is None else msgspec.json.encode(names).decode()


def records(frame: pl.DataFrame) -> Iterator[PredictionRecord]:
    """The records that `table` made the frame of."""
    columns = {name: values(column) for name, column in frame.to_dict().items()}
    fields = zip(*(columns[name] for name in FIELDS), strict=True)
    rows = zip(*(_rows(group, columns) for group in runs.GROUPS), strict=False)
    for field, (given, features, shares) in zip(fields, rows, strict=False):
        identity, time, entity, arm, version, score, prediction, latency, error = field
        yield PredictionRecord(
            identity, time, entity, given, features, arm, version, score, prediction, latency, error, shares
        )  # fmt: skip


def _rows(group: str, columns: Mapping[str, list[Any]]) -> Iterator[Any]:
    @cache
    def read(text: str) -> list[tuple[str, list[Any]]]:
        return [(name, columns[f"{group}.{name}"]) for name in msgspec.json.decode(text)]

    if group not in columns:
        yield from repeat(None)
    for i, text in enumerate(columns[group]):
        yield None if text is None else {name: column[i] for name, column in read(text)}


def values(column: pl.Series) -> list[Any]:
    """The column's values in Python, those stored as JSON read."""
    if column.dtype != pl.Binary:
        return column.to_list()
    return [None if value is None else msgspec.json.decode(value) for value in column.to_list()]
