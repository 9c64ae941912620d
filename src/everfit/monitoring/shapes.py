"""A column's distribution then and now in a few bins or levels, for people to look at; no test reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.monitoring.columns import Column, Floats, Present, present
from everfit.records.profile import ColumnProfile
from everfit.records.shape import Shape
from everfit.records.table import Kind

BINS, LEVELS, DISTINCT = 24, 8, 12
_TAIL = 0.005  # the share of rows on each side that the outermost bins take in
_REST = "other"


def shape(known: ColumnProfile, values: Column) -> Shape | None:
    """The (rows,) current `values` beside the profile; None where one of them has nothing to be drawn: identifiers,
    text, levels kept by their hash, no rows.

    >>> found = shape(ColumnProfile("plan", Kind.CATEGORICAL, 4, 0, counts={"a": 3, "b": 1}), np.array(["b", None]))
    >>> found.labels, found.then, found.now, found.missing_now
    (('a', 'b'), (0.75, 0.25), (0.0, 0.5), 0.5)
    """
    found = present(values, known.kind)
    if not found.rows or not known.rows:
        return None
    if known.counts is not None and found.levels is not None and not known.hashed:
        return _levels(known, known.counts, found, found.levels)
    if known.sample and found.ordered is not None and len(found.ordered):
        return _numbers(known, np.asarray(known.sample), found, found.ordered)
    return None


def _numbers(known: ColumnProfile, sample: Floats, found: Present, ordered: Floats) -> Shape:
    distinct = np.unique(np.concatenate([np.unique(sample), np.unique(ordered)]))
    if len(distinct) <= DISTINCT:
        # Counted at the midpoints between the values.
        edges = np.concatenate([[-np.inf], (distinct[1:] + distinct[:-1]) / 2, [np.inf]])
        labels = [_text(one, known.kind) for one in distinct]
        return _of_counts(known, found, labels, np.histogram(sample, edges)[0], np.histogram(ordered, edges)[0])
    tails = [np.quantile(side, [_TAIL, 1 - _TAIL]) for side in (sample, ordered)]
    edges = np.linspace(min(t[0] for t in tails), max(t[1] for t in tails), BINS + 1)
    low, high = edges[0], edges[-1]
    then, now = (np.histogram(np.clip(side, low, high), edges)[0] for side in (sample, ordered))
    return _of_counts(known, found, [_text(one, known.kind) for one in edges], then, now, binned=True)


def _levels(known: ColumnProfile, then: Mapping[str, int], found: Present, now: Mapping[str, int]) -> Shape:
    before, after = sum(then.values()) or 1, sum(now.values()) or 1
    share = {level: max(then.get(level, 0) / before, now.get(level, 0) / after) for level in {**then, **now}}
    chosen = sorted(share, key=lambda level: (-share[level], level))[:LEVELS]
    chosen.sort(key=lambda level: (-then.get(level, 0), level))
    return _of_counts(known, found, *_named(chosen, then, now))


def _named(
    chosen: list[str], then: Mapping[str, int], now: Mapping[str, int]
) -> tuple[list[str], NDArray[Any], NDArray[Any]]:
    """The chosen levels, and all others together where there are any."""
    before, after = ([side.get(level, 0) for level in chosen] for side in (then, now))
    rest = sum(then.values()) - sum(before), sum(now.values()) - sum(after)
    if not any(rest):
        return chosen, np.array(before), np.array(after)
    return [*chosen, _REST], np.array([*before, rest[0]]), np.array([*after, rest[1]])


def _of_counts(
    known: ColumnProfile, found: Present, labels: list[str], then: NDArray[Any], now: NDArray[Any], binned: bool = False
) -> Shape:
    missing_then, missing_now = known.nulls / known.rows, found.nulls / found.rows
    return Shape(
        known.name,
        tuple(labels),
        tuple(((1 - missing_then) * then / max(then.sum(), 1)).tolist()),
        tuple(((1 - missing_now) * now / max(now.sum(), 1)).tolist()),
        missing_then,
        missing_now,
        binned,
    )


def _text(value: float, kind: Kind) -> str:
    if kind is Kind.BOOLEAN:
        return "true" if value else "false"
    if kind is Kind.DATE:
        return str(np.datetime64(round(value), "s").astype("datetime64[D]"))
    return f"{value:.3g}"
