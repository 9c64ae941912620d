"""A model of how wrong a regression is, row by row, fitted on errors that it made on rows it had not seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from everfit.records.profile import LossModel
from everfit.training.forest import Forest

Floats = NDArray[np.float64]

TREES, DEPTH, LEAF = 10, 8, 0.003
LEAST, MOST = 200, 20_000
_CLIP = 0.999


def fit(matrix: Floats, error: Floats, seed: int) -> LossModel | None:
    """Trees for the expected absolute and squared `error` (rows,) of rows whose encoded features and score are `matrix`
    (rows, columns); None for fewer than 200 rows. Errors beyond the 99.9% quantile count as that. `scaled` puts the
    level right afterwards."""
    from sklearn.ensemble import RandomForestRegressor

    known = np.isfinite(error)
    x, size = matrix[known], np.abs(error[known])
    if len(size) < LEAST or not size.max() > 0:
        return None
    rows = np.random.default_rng(seed).permutation(len(size))[:MOST]
    x, size = x[rows], np.minimum(size[rows], np.quantile(size, _CLIP))
    level = np.array([size.mean(), (size**2).mean()])
    forest = RandomForestRegressor(
        TREES, max_depth=DEPTH, min_samples_leaf=max(10, int(LEAF * len(rows))), random_state=seed
    ).fit(x, np.column_stack([size, size**2]) / level)
    flat = [tree.tree_ for tree in forest.estimators_]
    nodes = Forest.of(forest)
    values = np.concatenate([tree.value[:, :, 0] for tree in flat]) * level
    return LossModel(
        roots=tuple(nodes.roots.tolist()),
        column=tuple(nodes.column.tolist()),
        threshold=tuple(nodes.threshold.tolist()),
        child=tuple(nodes.child.tolist()),
        absolute=tuple(values[:, 0].tolist()),
        squared=tuple(values[:, 1].tolist()),
        depth=nodes.depth,
    )
