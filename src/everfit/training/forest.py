"""A random forest as flat arrays: one row passes all trees together, level by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Forest:
    """The nodes of all trees in a row; `child[2 * n]` follows node n where the column is greater than the threshold,
    `child[2 * n + 1]` where it is not. A leaf follows itself. `value` is (nodes, classes), or (nodes, 1) values."""

    roots: NDArray[np.intp]
    column: NDArray[np.intp]
    threshold: NDArray[np.float64]
    child: NDArray[np.intp]
    value: NDArray[np.float64]
    depth: int
    is_classifier: bool

    @classmethod
    def of(cls, forest: Any) -> Forest:
        """The nodes of a fitted scikit-learn random forest with one target."""
        trees = [estimator.tree_ for estimator in forest.estimators_]
        ends = np.cumsum([tree.node_count for tree in trees])
        starts = np.concatenate(([0], ends[:-1]))
        is_leaf = np.concatenate([tree.children_left for tree in trees]) < 0
        own = np.arange(ends[-1])
        left, right = (
            np.where(is_leaf, own, np.concatenate([getattr(t, side) + s for t, s in zip(trees, starts, strict=True)]))
            for side in ("children_left", "children_right")
        )
        return cls(
            starts.astype(np.intp),
            np.maximum(np.concatenate([tree.feature for tree in trees]), 0).astype(np.intp),
            np.concatenate([tree.threshold for tree in trees]),
            np.column_stack((right, left)).ravel().astype(np.intp),
            np.concatenate([tree.value[:, 0, :] for tree in trees]),
            max(tree.max_depth for tree in trees),
            hasattr(forest, "predict_proba"),
        )

    def score(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the forest itself answers, to the bit: float32 inputs, trees added one after the other."""
        rows = len(matrix)
        x = np.ascontiguousarray(matrix, dtype=np.float32).ravel()
        offset = (np.arange(rows) * matrix.shape[1])[:, None]
        at = np.broadcast_to(self.roots, (rows, len(self.roots)))
        for _ in range(self.depth):
            at = self.child[2 * at + (x[offset + self.column[at]] <= self.threshold[at])]
        total: NDArray[np.float64] = np.cumsum(self.value[at], axis=1)[:, -1] / len(self.roots)
        return total if self.is_classifier else total[:, 0]
