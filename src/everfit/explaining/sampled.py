"""Shapley values of any model by drawn permutations (Castro, Gómez and Tejada, 2009), each one walked both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]

PAIRS = 64
_ROWS = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """(features,) contributions and their standard errors; with `base` they add up to the row's own output."""

    base: float
    output: float
    amounts: Floats
    errors: Floats


def sampled(
    score: Callable[[Columns], Floats],
    row: Columns,
    draw: Callable[[int, np.random.Generator], Columns],
    names: Sequence[str],
    pairs: int = PAIRS,
    seed: int = 0,
) -> Sampled:
    """What each of `names` moves the score of `row`, columns of one value each, beyond that of rows of `draw`.

    A permutation begins at a drawn row and takes over the row's own values one feature after the other; what the score
    moves by is the feature's. The same drawn row is walked in the opposite order too, which takes out most of the
    noise. `base` is the mean score of the drawn rows, so that the sum is exact.
    """
    random = np.random.default_rng(seed)
    drawn = draw(pairs, random)
    orders = np.array([random.permutation(len(names)) for _ in range(pairs)]).reshape(pairs, len(names))
    there, back = (_walked(score, row, drawn, names, order) for order in (orders, orders[:, ::-1]))
    moves = (_moves(there, orders) + _moves(back, orders[:, ::-1])) / 2
    errors = moves.std(axis=0, ddof=1) / np.sqrt(pairs)
    return Sampled(float(there[:, 0].mean()), float(there[0, -1]), moves.mean(axis=0), errors)


def _walked(
    score: Callable[[Columns], Floats], row: Columns, drawn: Columns, names: Sequence[str], orders: NDArray[Any]
) -> Floats:
    """(pairs, features + 1) the scores along each order."""
    pairs, count = orders.shape
    turn = np.argsort(orders, axis=1)
    # After s steps a feature has the row's own value where its turn was among the first s.
    taken = turn[:, None, :] < np.arange(count + 1)[None, :, None]
    columns = {
        name: np.where(taken[:, :, place].ravel(), row[name], np.repeat(drawn[name], count + 1))
        for place, name in enumerate(names)
    }
    total = pairs * (count + 1)
    parts = [
        score({name: values[first : first + _ROWS] for name, values in columns.items()})
        for first in range(0, total, _ROWS)
    ]
    return np.concatenate(parts).reshape(pairs, count + 1)


def _moves(scores: Floats, orders: NDArray[Any]) -> Floats:
    """(pairs, features) what the score moved by at each feature's turn."""
    found = np.empty(orders.shape)
    np.put_along_axis(found, orders, np.diff(scores, axis=1), axis=1)
    return found
