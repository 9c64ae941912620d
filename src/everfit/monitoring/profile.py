"""The reference profile: what training looked like, in a size that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from everfit.monitoring.columns import Column, Floats, Present, hashed, present
from everfit.records.profile import ColumnProfile, LossProfile, Profile
from everfit.records.table import Kind

SAMPLE = 2_000
LEVELS = 1_000


def profile(
    columns: Mapping[str, Column],
    kinds: Mapping[str, Kind],
    score: Floats,
    metric: str,
    expected: float,
    labels: int,
    losses: LossProfile | None = None,
) -> Profile:
    """The profile of the model's columns, (rows,) each, and of its score on the test rows, (test rows,).

    `score` is what the prediction log holds: the probability of the positive class (binary), of the predicted class
    (several classes), or the predicted value. `expected` is the value of `metric` on `labels` test rows, and `losses`
    are theirs.

    >>> p = profile({"age": np.array([30.0, np.nan])}, {"age": Kind.NUMERIC}, np.array([0.4]), "roc_auc", 0.8, 1)
    >>> p.columns[0].sample, p.columns[0].nulls
    ((30.0,), 1)
    """
    return Profile(
        columns=tuple(column(name, values, kinds[name]) for name, values in columns.items()),
        score=column("score", np.asarray(score, dtype=np.float64), Kind.NUMERIC),
        metric=metric,
        expected=expected,
        labels=labels,
        losses=losses,
    )


def column(name: str, values: Column, kind: Kind, most: int = SAMPLE) -> ColumnProfile:
    """One column's profile, of at most `most` numbers. Identifiers and text keep only their number of missing values:
    their values are personal or unlimited, and a distribution of them means nothing."""
    found = present(values, kind)
    if found.ordered is not None and len(found.ordered):
        return _numeric(name, kind, found, found.ordered, most)
    if found.levels is not None:
        many = len(found.levels) > LEVELS
        levels = hashed(found.levels) if many else found.levels
        return ColumnProfile(name, kind, found.rows, found.nulls, counts=levels, hashed=many)
    return ColumnProfile(name, kind, found.rows, found.nulls)


def grid(values: int, points: int) -> NDArray[np.int64]:
    """The ranks, from 0, of an even grid of `points` order statistics of `values` sorted values, ends included.

    >>> grid(5, 3).tolist(), grid(3, 3).tolist()
    ([0, 2, 4], [0, 1, 2])
    """
    return np.arange(points, dtype=np.int64) * (values - 1) // max(points - 1, 1)


def _numeric(name: str, kind: Kind, found: Present, ordered: Floats, most: int) -> ColumnProfile:
    mean, std = moments(ordered)
    return ColumnProfile(
        name,
        kind,
        found.rows,
        found.nulls,
        sample=tuple(ordered[grid(len(ordered), min(len(ordered), most))].tolist()),
        mean=mean,
        std=std,
        minimum=float(ordered[0]),
        maximum=float(ordered[-1]),
    )


def moments(values: Floats) -> tuple[float | None, float | None]:
    """Mean and standard deviation of the values present; None for one that no finite number can hold.

    >>> moments(np.array([1.0, 3.0, np.nan])), moments(np.array([1e308, 1e308]))
    ((2.0, 1.0), (None, None))
    """
    present = values[~np.isnan(values)]
    if not len(present):
        return None, None
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(np.mean(present)), float(np.std(present))
    return (mean if np.isfinite(mean) else None), (std if np.isfinite(std) else None)
