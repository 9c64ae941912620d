"""Rows at which a compiled tree could differ from its original: on every split, and just beside it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from everfit.records.compiled import Form, Trees

Matrix = NDArray[np.float64]


def at_splits(form: Form, rows: Matrix, seed: int = 0) -> Iterator[Matrix]:
    """For each split of each tree three rows that arrive at it, one on its threshold and one on each side of it, the
    next numbers in the precision of the library; all else is as in one of `rows`, (rows, width) encoded real ones.

    A block of rows a tree. The row that arrives at a split is its parent's, moved where needed just across the
    parent's threshold.
    """
    random = np.random.default_rng(seed)
    for part in form.parts:
        if isinstance(part, Trees):
            ends = np.append(part.roots[1:], len(part.nodes))
            for root, end in zip(part.roots, ends, strict=True):
                start = rows[random.integers(len(rows))] if len(rows) else np.zeros(part.width)
                yield _tree(part, int(root), int(end), start)


def _tree(trees: Trees, root: int, end: int, start: NDArray[np.float64]) -> Matrix:
    nodes = trees.nodes[root:end]
    left = nodes["left"].astype(np.int64) - root
    inner = np.flatnonzero(left != np.arange(len(nodes)))
    arriving = np.broadcast_to(start, (len(nodes), trees.width)).copy()
    for node in inner:  # parents come before their children
        column, threshold = nodes["feature"][node], nodes["threshold"][node]
        arriving[[left[node], left[node] + 1]] = arriving[node]
        arriving[left[node], column] = min(arriving[node, column], threshold)
        arriving[left[node] + 1, column] = max(arriving[node, column], _after(threshold, trees.single))
    found = np.repeat(arriving[inner], 3, axis=0)
    thresholds = nodes["threshold"][inner]
    near = np.column_stack((thresholds, _after(thresholds, trees.single), _before(thresholds, trees.single)))
    found[np.arange(len(found)), np.repeat(nodes["feature"][inner], 3)] = near.ravel()
    return found


def _after(value: Matrix, single: bool) -> Matrix:
    """The next greater number that the library can tell from it."""
    if not single:
        return np.nextafter(value, np.inf)
    rounded = np.asarray(value, dtype=np.float32)
    return np.where(rounded > value, rounded, np.nextafter(rounded, np.float32(np.inf))).astype(np.float64)


def _before(value: Matrix, single: bool) -> Matrix:
    """The next smaller one."""
    if not single:
        return np.nextafter(value, -np.inf)
    rounded = np.asarray(value, dtype=np.float32)
    return np.where(rounded < value, rounded, np.nextafter(rounded, np.float32(-np.inf))).astype(np.float64)
