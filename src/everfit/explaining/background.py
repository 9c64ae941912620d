"""What a model's features are like on average: the training rows, column by column, as the reference profile has them.

Nothing else of the training rows is kept in a bundle, so that columns are taken as independent of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.records.features import Encoder
from everfit.records.profile import ColumnProfile, Profile

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Marginal:
    """A feature's values in training, (values,), and the share of the rows that had each."""

    values: NDArray[Any]
    shares: NDArray[np.float64]


def marginals(profile: Profile, encoder: Encoder) -> dict[str, Marginal]:
    """One of each feature that the encoder reads. A feature that the profile does not know is always missing."""
    known = {column.name: column for column in profile.columns}
    numeric = {encoding.name: _numbers(known.get(encoding.name)) for encoding in encoder.numeric}
    return numeric | {encoding.name: _levels(known.get(encoding.name)) for encoding in encoder.categorical}


def drawn(found: Mapping[str, Marginal], rows: int, random: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Rows of values, each drawn by itself."""
    return {name: one.values[random.choice(len(one.values), rows, p=one.shares)] for name, one in found.items()}


def means(
    found: Mapping[str, Marginal], of: Callable[[Columns], NDArray[np.float64]], names: Sequence[str]
) -> NDArray[np.float64]:
    """(columns,) the means of terms that depend on one feature each: `of` gives those of rows, (rows, columns), and
    `names` says which feature a column is of."""
    total, place = np.zeros(len(names)), np.array(names)
    for name, own in found.items():
        rows = {other: np.repeat(one.values[:1], len(own.values)) for other, one in found.items()}
        mine = place == name
        total[mine] = own.shares @ of({**rows, name: own.values})[:, mine]
    return total


def _numbers(column: ColumnProfile | None) -> Marginal:
    if column is None or not column.sample:
        return Marginal(np.array([np.nan]), np.ones(1))
    missing = column.nulls / max(column.rows, 1)
    count = len(column.sample)
    shares = np.append(np.full(count, (1 - missing) / count), missing)
    return Marginal(np.append(np.array(column.sample, dtype=np.float64), np.nan), shares)


def _levels(column: ColumnProfile | None) -> Marginal:
    counts = {} if column is None or column.counts is None or column.hashed else column.counts
    values = np.array([*counts, None], dtype=object)
    rows = max(column.rows if column else 0, sum(counts.values()), 1)
    shares = np.array([*counts.values(), 0], dtype=np.float64) / rows
    shares[-1] = 1 - shares.sum()
    return Marginal(values, np.clip(shares, 0.0, 1.0))
