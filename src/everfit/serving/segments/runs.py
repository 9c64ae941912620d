"""Stretches of records that have the same columns, a column at a time: a batch, or records of one shape in a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from everfit.records.prediction import Logged, PredictionBatch, PredictionRecord

GROUPS = ("input", "features", "probabilities")
Run = PredictionBatch | Sequence[PredictionRecord]
# What the rows of a batch have in common.
SHARED = ("time", "arm", "version", "latency", "error")
_LISTS = {"id": "ids", "entity": "entities", "score": "scores", "prediction": "predictions"}


def runs(lines: Iterable[Logged]) -> Iterator[Run]:
    """The lines in their order as stretches of the same columns."""
    for _, found in groupby(lines, _shape):
        records: list[PredictionRecord] = []
        for one in found:
            if isinstance(one, PredictionBatch):
                yield one
            else:
                records.append(one)
        if records:
            yield records


def _shape(line: Logged) -> object:
    return None if isinstance(line, PredictionBatch) else [names([line], group) for group in GROUPS]


def length(run: Run) -> int:
    """How many records it is."""
    return len(run.ids) if isinstance(run, PredictionBatch) else len(run)


def shared(run: Run, name: str) -> Iterator[tuple[Any, int]]:
    """The values of such a field, each with how many records in a row have it."""
    if isinstance(run, PredictionBatch):
        yield getattr(run, name, None), len(run.ids)  # a batch has no error
    else:
        yield from ((getattr(record, name), 1) for record in run)


def is_as_sent(run: Run, name: str) -> bool:
    """Whether the feature is written as the column of its name that was sent."""
    return isinstance(run, PredictionBatch) and run.features.get(name, ()) is None


def field(run: Run, name: str) -> Sequence[Any]:
    """The values of a record's field, which is not one of the groups."""
    if not isinstance(run, PredictionBatch):
        return [getattr(record, name) for record in run]
    if name in _LISTS:
        found: Sequence[Any] | None = getattr(run, _LISTS[name])
        return [None] * length(run) if found is None else found
    return [value for value, count in shared(run, name) for _ in range(count)]


def names(run: Run, group: str) -> tuple[str, ...] | None:
    """The names in the group, None where the records have no such group."""
    found = getattr(run if isinstance(run, PredictionBatch) else run[0], group)
    return None if found is None else tuple(found)


def column(run: Run, group: str, name: str) -> Sequence[Any]:
    """The values of a name in the group, all None where there is no such name."""
    if name not in (names(run, group) or ()):
        return [None] * length(run)
    if not isinstance(run, PredictionBatch):
        return [getattr(record, group)[name] for record in run]
    found: Sequence[Any] = run.feature(name) if group == "features" else getattr(run, group)[name]
    return found
