"""Profiles of two tables to the profile of both, without the tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from everfit.monitoring.columns import Floats, hashed
from everfit.monitoring.profile import LEVELS, SAMPLE, grid
from everfit.records.profile import ColumnProfile, Profile


def merge(one: Profile, other: Profile) -> Profile:
    """The profile of all rows of both, for the columns that both have; metric, expected value and labels are those of
    `one`. The order of merging changes the `slack` of the samples, never their truth."""
    there = {column.name: column for column in other.columns}
    columns = tuple(merge_columns(column, there[column.name]) for column in one.columns if column.name in there)
    return replace(one, columns=columns, score=merge_columns(one.score, other.score))


def merge_columns(one: ColumnProfile, other: ColumnProfile) -> ColumnProfile:
    """One column over the rows of both.

    >>> from everfit.monitoring.profile import column
    >>> from everfit.records.table import Kind
    >>> a, b = (column("x", np.array(values), Kind.NUMERIC) for values in ([1.0, 3.0], [2.0, np.nan]))
    >>> merged = merge_columns(a, b)
    >>> merged.sample, merged.mean, merged.rows, merged.nulls
    ((1.0, 2.0, 3.0), 2.0, 4, 1)
    """
    whole = replace(one, rows=one.rows + other.rows, nulls=one.nulls + other.nulls)
    if one.counts is not None and other.counts is not None:
        return _levels(whole, one, other)
    if not one.sample or not other.sample:
        filled = one if one.sample else other
        return replace(filled, rows=whole.rows, nulls=whole.nulls)
    sample, slack = _samples(one, other)
    mean, std = _moments(one, other)
    return replace(
        whole,
        sample=sample,
        slack=slack,
        mean=mean,
        std=std,
        minimum=_both(min, one.minimum, other.minimum),
        maximum=_both(max, one.maximum, other.maximum),
    )


def _levels(whole: ColumnProfile, one: ColumnProfile, other: ColumnProfile) -> ColumnProfile:
    sides = [side.counts or {} for side in (one, other)]
    many = one.hashed or other.hashed or len(sides[0].keys() | sides[1].keys()) > LEVELS
    if many:
        sides = [dict(side) if was.hashed else hashed(side) for side, was in zip(sides, (one, other), strict=True)]
    total = dict(sides[0])
    for level, rows in sides[1].items():
        total[level] = total.get(level, 0) + rows
    ordered = sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))
    return replace(whole, counts=dict(ordered), hashed=many)


def _samples(one: ColumnProfile, other: ColumnProfile) -> tuple[tuple[float, ...], float]:
    """The grid of both, and how far a share below one of its values may be wrong: each side knows its own shares to a
    step of its grid, and the new values are chosen among those of both."""
    sizes = [side.rows - side.nulls for side in (one, other)]
    pooled = np.sort(np.concatenate([one.sample, other.sample]))
    total = sum(sizes)
    if len(pooled) == total <= SAMPLE:
        return tuple(pooled.tolist()), one.slack * sizes[0] / total + other.slack * sizes[1] / total
    to = sum(_share_to(side, pooled) * size for side, size in zip((one, other), sizes, strict=True)) / total
    ranks = (grid(total, min(total, SAMPLE)) + 1) / total
    chosen = pooled[np.minimum(np.searchsorted(to, ranks - 1e-12), len(pooled) - 1)]
    chosen[0], chosen[-1] = pooled[0], pooled[-1]
    steps = [
        0.0 if len(side.sample) == size else 1 / (len(side.sample) - 1)
        for side, size in zip((one, other), sizes, strict=True)
    ]
    slack = sum((2 * step + side.slack) * size for step, side, size in zip(steps, (one, other), sizes, strict=True))
    return tuple(chosen.tolist()), slack / total


def _share_to(side: ColumnProfile, values: Floats) -> Floats:
    """The estimated share of the side's values at or below each of `values`."""
    ranks = np.concatenate([[0.0], (grid(side.rows - side.nulls, len(side.sample)) + 1) / (side.rows - side.nulls)])
    shares: Floats = ranks[np.searchsorted(np.asarray(side.sample), values, side="right")]
    return shares


def _moments(one: ColumnProfile, other: ColumnProfile) -> tuple[float | None, float | None]:
    """Mean and standard deviation of both, after Chan, Golub and LeVeque (1979)."""
    if one.mean is None or other.mean is None:
        return None, None
    n, m = one.rows - one.nulls, other.rows - other.nulls
    apart = other.mean - one.mean
    mean = one.mean + apart * m / (n + m)
    if one.std is None or other.std is None:
        return mean, None
    variance = (n * one.std**2 + m * other.std**2) / (n + m) + apart**2 * n * m / (n + m) ** 2
    return mean, float(np.sqrt(variance))


def _both(choose: Callable[[float, float], float], a: float | None, b: float | None) -> float | None:
    return choose(a, b) if a is not None and b is not None else a if b is None else b
