"""Shapley values of trees by their paths, exactly: what TreeSHAP computes (Lundberg et al., 2020, algorithm 1).

Without some features, a tree answers by the share of its training rows that went each way. On the way to a leaf each
feature i then has a factor: o_i, whether the row agrees with all of its questions, or z_i, the share of training rows
that do. By the multilinear extension of the game (Owen, 1972) its Shapley value is a sum over leaves of

    value * (o_i - z_i) * integral from 0 to 1 of the product over j != i of (t o_j + (1 - t) z_j) dt,

a polynomial in t, so that a few points of Gauss and Legendre give the integral to the last bits. Products are formed
downwards and sums upwards, for all nodes of a level at once: (nodes * points) steps, and no loop over rows or trees.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from everfit.records.compiled import Trees

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


class Paths:
    """The trees that add to one output, their nodes level by level: what does not depend on a row."""

    def __init__(self, trees: Trees, output: int) -> None:
        """ValueError for trees without covers."""
        if len(trees.cover) != len(trees.nodes):
            raise ValueError("the trees do not say how many rows came by")
        column = output - trees.target
        adding = (column >= 0) & (column < trees.values.shape[1])
        nodes, parents, levels = _by_level(trees, trees.roots[adding])
        self._single, self._width, self._divisor = trees.single, trees.width, trees.divisor
        self._levels = [slice(*ends) for ends in pairwise(np.cumsum([0, *levels]).tolist())]
        own = trees.nodes[nodes]
        left = own["left"].astype(np.int64)
        self._leaf = left == nodes
        self._parent = parents
        self._asked, self._threshold = own["feature"].astype(np.int64), own["threshold"]
        self._missing_left = own["missing_left"] != 0
        self._is_left = nodes == left_of(trees, nodes[parents])
        self._feature = self._asked[parents]
        self._values = _values(trees, nodes, parents, levels, column[adding])
        self._same = self._same_above(levels[0])
        self._share = self._shares(trees.cover[nodes])
        self._points, self._weights = _quadrature(self._most_features())
        self.base = float(trees.base[output] + self._at_leaves() / self._divisor)

    def contributions(self, row: Floats) -> Floats:
        """(width,) what each encoded column of the row adds to the sum before the link, beyond `base`."""
        agrees = self._agreement(row)
        factor = agrees[:, None] * self._points + self._share[:, None] * (1 - self._points)
        before = np.where(self._same[:, None] < 0, 1.0, factor[self._same])
        sums = self._summed(self._products(factor, before))
        gained = (agrees - self._share) * self._integral(sums, factor)
        above = (agrees - self._share)[self._same] * self._integral(sums, before)
        gained -= np.where(self._same < 0, 0.0, above)
        edges = slice(self._levels[0].stop, None)
        found = np.bincount(self._feature[edges], weights=gained[edges], minlength=self._width)
        return found.astype(np.float64) / self._divisor

    def _agreement(self, row: Floats) -> Floats:
        """Whether the row agrees with all questions on the way to a node that ask for the node's own feature."""
        values = row.astype(np.float32).astype(np.float64) if self._single else row
        asked = values[self._asked]
        goes_left = (asked <= self._threshold) | (np.isnan(asked) & self._missing_left)
        agrees = (goes_left[self._parent] == self._is_left).astype(np.float64)
        return self._down_the_same(agrees)

    def _down_the_same(self, factors: Floats) -> Floats:
        """Each node's factor times those of the nodes above it with the same feature."""
        for level in self._levels[1:]:
            same = self._same[level]
            factors[level] *= np.where(same < 0, 1.0, factors[same])
        factors[self._levels[0]] = 1.0
        return factors

    def _same_above(self, roots: int) -> Places:
        """The next node above whose own feature is the same, -1 where there is none."""
        above = self._parent.copy()
        while True:
            passed = (above >= roots) & (self._feature[above] != self._feature)
            if not passed.any():
                break
            above[passed] = self._parent[above[passed]]
        above[above < roots] = -1
        return above

    def _shares(self, cover: Floats) -> Floats:
        """The share of the rows at a node's parent that came to it; a half each where none came by the parent."""
        whole = cover[self._parent]
        share = np.divide(cover, whole, out=np.full(len(cover), 0.5), where=whole > 0)
        self._reach = share.copy()
        for level in self._levels[1:]:
            self._reach[level] *= self._reach[self._parent[level]]
        return self._down_the_same(share)

    def _at_leaves(self) -> float:
        return float(self._values @ self._reach)

    def _most_features(self) -> int:
        """How many different features the longest path has."""
        count = np.zeros(len(self._parent), dtype=np.int64)
        for level in self._levels[1:]:
            count[level] = count[self._parent[level]] + (self._same[level] < 0)
        return int(count.max(initial=0))

    def _products(self, factor: Floats, before: Floats) -> Floats:
        """(nodes, points) the product of the factors on the way to a node, one for each feature."""
        change = np.divide(factor, before, out=np.zeros_like(factor), where=before > 0)
        change[self._levels[0]] = 1.0
        for level in self._levels[1:]:
            change[level] *= change[self._parent[level]]
        return change

    def _summed(self, products: Floats) -> Floats:
        """The products times the values of the leaves, summed over the leaves below each node."""
        products *= self._values[:, None]
        for level, below in zip(self._levels[-2::-1], self._levels[:0:-1], strict=False):
            pairs = products[below].reshape(-1, 2, len(self._points)).sum(axis=1)
            products[level][~self._leaf[level]] = pairs
        return products

    def _integral(self, sums: Floats, factor: Floats) -> Floats:
        """(nodes,) of the sums without a factor."""
        found: Floats = np.divide(sums, factor, out=np.zeros_like(sums), where=factor > 0) @ self._weights
        return found


def left_of(trees: Trees, nodes: Places) -> Places:
    """The left child of each node."""
    found: Places = trees.nodes["left"][nodes].astype(np.int64)
    return found


def _by_level(trees: Trees, roots: Places) -> tuple[Places, Places, list[int]]:
    """All nodes below the roots, level by level and children side by side; the place of each one's parent, a root's
    its own; the size of each level."""
    level, start = roots, 0
    nodes, parents, sizes = [roots], [np.arange(len(roots), dtype=np.int64)], [len(roots)]
    while len(inner := np.flatnonzero(left_of(trees, level) != level)):
        left = left_of(trees, level[inner])
        parents.append(np.repeat(start + inner, 2))
        start += len(level)
        level = np.column_stack((left, left + 1)).ravel()
        nodes.append(level)
        sizes.append(len(level))
    return np.concatenate(nodes), np.concatenate(parents), sizes


def _values(trees: Trees, nodes: Places, parents: Places, levels: list[int], column: Places) -> Floats:
    """What each leaf adds to the output, which is another column of the values from tree to tree; 0 elsewhere."""
    tree = np.arange(len(nodes), dtype=np.int64)
    for start, end in pairwise(np.cumsum(levels).tolist()):
        tree[start:end] = tree[parents[start:end]]
    leaf = left_of(trees, nodes) == nodes
    return np.where(leaf, trees.values[nodes, column[tree]], 0.0)


def _quadrature(features: int) -> tuple[Floats, Floats]:
    """Points and weights on (0, 1) that integrate the product of all factors but one exactly."""
    points, weights = np.polynomial.legendre.leggauss(max(1, (features + 1) // 2))
    return (points + 1) / 2, weights / 2
