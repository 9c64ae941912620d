"""Trees laid out for many rows at once: a threshold is its rank among those of its column.

A number x and a threshold t compare as their ranks do: with r the count of the column's thresholds below x, x <= t
holds exactly if r is at most t's own rank. So a row is ranked once, by halving, and all trees then compare small
integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.records.compiled import Trees

# How many levels of a tree are looked at whole, without following a row: seven nodes and eight places below them.
TOP = 3
INNER, BELOW = 2**TOP - 1, 2**TOP
# No rank is above it, so that all rows stay left.
_STAY = 0xFFFF
# The kernel holds the ranks of a block of rows on its stack, and counts values in 32 bits.
_MOST_SLOTS, _MOST_VALUES = 4096, 2**31 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """`columns`, (slots,) int64, are those that a tree splits on; their order gives each its slot. Their thresholds
    stand in `thresholds` from `starts[slot]` on, sorted, filled up with infinities to one less than 2**halvings[slot].

    `nodes`, (nodes,) int64, hold the left child in bits 0-31, the slot in 32-47 and the threshold's rank in 48-63; a
    leaf is its own left child. `top`, (trees, 7, 2) int64, has slot and rank of the nodes of the first three levels,
    `below`, (trees, 8) int32, the nodes under them, and `deeper`, (trees,) int64, how many levels there are still.
    """

    columns: NDArray[np.int64]
    starts: NDArray[np.int64]
    halvings: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    nodes: NDArray[np.int64]
    top: NDArray[np.int64]
    below: NDArray[np.int32]
    deeper: NDArray[np.int64]


def ranked(trees: Trees) -> Ranked | None:
    """None for trees that cannot be laid out so: without a split, with one on no number, or too large for the bits."""
    nodes = trees.nodes
    left, column = nodes["left"].astype(np.int64), nodes["feature"].astype(np.int64)
    inner = left != np.arange(len(nodes))
    columns = np.unique(column[inner])
    slots = np.searchsorted(columns, column)
    tables = [np.unique(nodes["threshold"][inner & (column == one)]) for one in columns]
    odd = any(len(table) >= _STAY or np.isnan(table).any() for table in tables)
    if odd or not 0 < len(columns) <= _MOST_SLOTS or trees.values.size > _MOST_VALUES:
        return None
    halvings = np.array([len(table).bit_length() for table in tables], dtype=np.int64)
    starts = np.cumsum([0, *(2**halvings - 1)])
    thresholds = np.full(starts[-1], np.inf)
    ranks = np.full(len(nodes), _STAY)
    for slot, table in enumerate(tables):
        thresholds[starts[slot] : starts[slot] + len(table)] = table
        own = inner & (slots == slot)
        ranks[own] = np.searchsorted(table, nodes["threshold"][own])
    slots[~inner] = 0
    packed = left | slots << 32 | ranks << 48
    top, below = _tops(trees.roots, left, slots, ranks)
    deeper = np.maximum(trees.depths - TOP, 0)
    return Ranked(columns, starts[:-1], halvings, thresholds, packed, top, below, deeper)


def _tops(roots: Any, left: Any, slots: Any, ranks: Any) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """A leaf among the first levels has itself below it, on both sides."""
    level, top = roots[:, None], []
    for _ in range(TOP):
        top.append(np.stack((slots[level], ranks[level]), axis=-1))
        leaf = left[level] == level
        level = np.stack((left[level], left[level] + ~leaf), axis=-1).reshape(len(roots), -1)
    return np.concatenate(top, axis=1), level.astype(np.int32)
