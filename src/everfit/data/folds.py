"""Which training rows a search reads, and which cross-validation fold each belongs to: cut the way the test part was
cut."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def fold_numbers(
    y: NDArray[Any],
    folds: int,
    *,
    stratify: bool = False,
    group: NDArray[Any] | None = None,
    time: NDArray[Any] | None = None,
    seed: int = 0,
) -> Numbers:
    """(rows,) the fold 0..folds-1 in which each row is validated.

    With `group`, all rows of a group share a fold; with `time`, folds are consecutive stretches of time; otherwise
    rows are dealt at random, class by class when `stratify` is set, so that every fold has its share of each.

    >>> fold_numbers(np.array([0, 0, 0, 0, 1, 1]), 2, stratify=True).tolist().count(0)
    3
    """
    random = np.random.default_rng([seed, folds])
    if group is not None:
        _, codes = np.unique(group.astype(str), return_inverse=True)
        numbers: Numbers = _dealt(int(codes.max()) + 1, folds, random)[codes]
        return numbers
    if time is not None:
        return _blocks(time, folds)
    numbers = np.empty(len(y), dtype=np.int64)
    start = 0
    for value in np.unique(y) if stratify else [None]:
        rows = np.flatnonzero(y == value) if stratify else np.arange(len(y))
        # The deal goes on where the last class ended, so that small classes do not all fall into the first folds.
        numbers[random.permutation(rows)] = (np.arange(len(rows)) + start) % folds
        start += len(rows)
    return numbers


def thinned(y: NDArray[Any], most: int, seed: int) -> NDArray[np.bool_]:
    """(rows,) true for at most `most` rows, drawn at random and evenly over the order of `y`: each class, and each
    stretch of values, keeps its share.

    >>> found = thinned(np.array([0] * 60 + [1] * 30), 30, seed=1)
    >>> int(found[:60].sum()), int(found[60:].sum())
    (20, 10)
    """
    if len(y) <= most:
        return np.ones(len(y), dtype=np.bool_)
    by_value = np.lexsort((np.random.default_rng([seed, most]).random(len(y)), y))
    chosen = np.zeros(len(y), dtype=np.bool_)
    chosen[by_value[(np.arange(most) * len(y)) // most]] = True
    return chosen


def _dealt(count: int, folds: int, random: np.random.Generator) -> Numbers:
    numbers: Numbers = random.permutation(np.arange(count, dtype=np.int64) % folds)
    return numbers


def _blocks(time: NDArray[Any], folds: int) -> Numbers:
    rank = np.argsort(np.argsort(time, kind="stable"), kind="stable")
    numbers: Numbers = rank * folds // len(time)
    return numbers
