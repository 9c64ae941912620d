"""Which drifted column matters: what its move alone did to the score, and to the metric to expect from it.

Current rows are weighted by how frequent their cell of the column was in the profile against now, which undoes the
move of that one column and leaves the rest as it is (Shimodaira 2000, importance weighting). No model is asked and no
label needed. Columns that moved together share what they did; what lies in cells that are empty now cannot be weighed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.monitoring.columns import NUMBERS, Column, Floats, hashed, numbers
from everfit.monitoring.estimate import confidence
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.table import Task
from everfit.records.watch import ColumnDrift

CELLS = 20


def ranked(
    found: Sequence[ColumnDrift],
    profile: Profile,
    columns: Mapping[str, Column],
    score: Floats,
    task: Task,
    threshold: float = 0.5,
) -> tuple[ColumnDrift, ...]:
    """The tests with `influence` and `cost` on every column that drifted; those of the greatest influence first."""
    known = {column.name: column for column in profile.columns}
    spread = profile.score.std or float(np.nanstd(score)) or 1.0
    moved = {one.column for one in found if one.drifted}
    effects = {name: _effect(known[name], columns[name], score, task, threshold, spread) for name in moved}
    told = [
        replace(one, influence=effects[one.column][0], cost=effects[one.column][1]) if one.drifted else one
        for one in found
    ]
    return tuple(sorted(told, key=lambda one: -(one.influence or 0.0) if one.drifted else 1.0))


def _effect(
    known: ColumnProfile, values: Column, score: Floats, task: Task, threshold: float, spread: float
) -> tuple[float, float | None]:
    codes, then = _cells(known, values)
    there = ~np.isnan(score)
    codes, scores = codes[there], score[there]
    now = np.bincount(codes, minlength=len(then)) / max(len(codes), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(now > 0, then / now, 0.0)[codes]
    if not weights.sum():
        return 0.0, None
    influence = abs(float(np.average(scores, weights=weights)) - float(scores.mean())) / spread
    if task is Task.REGRESSION:
        return influence, None
    sure = confidence(task, scores, threshold)
    return influence, float(np.average(sure, weights=weights) - sure.mean())


def _cells(known: ColumnProfile, values: Column) -> tuple[NDArray[np.int64], Floats]:
    """Each row's cell, the last one for missing values and the one before for levels never seen, and the cells' shares
    in the profile."""
    if known.kind in NUMBERS:
        plain = numbers(values, known.kind)
        cuts = np.unique(np.asarray(known.sample)[:: max(1, len(known.sample) // CELLS)][1:])
        codes = np.searchsorted(cuts, plain, side="right")
        counted = np.bincount(np.searchsorted(cuts, known.sample, side="right"), minlength=len(cuts) + 2)
        then: Floats = counted.astype(np.float64)
        codes = np.where(np.isnan(plain), len(cuts) + 1, codes)
    else:
        codes, then = _by_level(known, values)
    shares: Floats = then / max(then.sum(), 1) * (1 - known.nulls / known.rows)
    shares[-1] = known.nulls / known.rows
    return codes, shares


def _by_level(known: ColumnProfile, values: Column) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    levels = list(known.counts or {})
    places = {level: place for place, level in enumerate(levels)}
    plain = values if isinstance(values, pl.Series) else pl.Series(values.tolist(), dtype=pl.String)
    text = plain.cast(pl.String)
    distinct = text.unique().drop_nulls().to_list()
    names = {level: next(iter(hashed({level: 1}))) if known.hashed else level for level in distinct}
    codes = text.replace_strict(
        {level: places.get(name, len(levels)) for level, name in names.items()} | {None: len(levels) + 1},
        return_dtype=pl.Int64,
    )
    return codes.to_numpy(), np.array([*(known.counts or {}).values(), 0, 0], dtype=np.float64)
