"""Rows at which a compiled form could differ from its original: on every split or knot, and just beside it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from everfit.records.compiled import Curves, Form, Trees

Matrix = NDArray[np.float64]


def at_splits(form: Form, rows: Matrix, seed: int = 0) -> Iterator[Matrix]:
    """For each split of each tree three rows that arrive at it, one on its threshold and one on each side of it, the
    next numbers in the precision of the library; all else is as in one of `rows`, (rows, width) encoded real ones. For
    each knot of a curve likewise.

    A block of rows a tree, and one for all curves. The row that arrives at a split is its parent's, moved where needed
    just across the parent's threshold.
    """
    random = np.random.default_rng(seed)
    rows = rows if len(rows) else np.zeros((1, form.parts[0].width))
    for part in form.parts:
        if isinstance(part, Curves):
            yield _knots(part, random.choice(rows))
        elif isinstance(part, Trees):
            for root, end in pairwise([*part.roots.tolist(), len(part.nodes)]):
                yield _tree(part, root, end, random.choice(rows))


def _knots(curves: Curves, start: NDArray[np.float64]) -> Matrix:
    columns = np.repeat(np.repeat(curves.columns, np.diff(curves.bounds)), 3)
    found = np.broadcast_to(start, (len(columns), curves.width)).copy()
    near = np.column_stack((curves.knots, np.nextafter(curves.knots, np.inf), np.nextafter(curves.knots, -np.inf)))
    found[np.arange(len(found)), columns] = near.ravel()
    return found


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
