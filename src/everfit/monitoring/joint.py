"""Drift of all columns together, by a classifier that tries to tell earlier rows from current ones.

If none can, on rows it was not fitted on, the two windows come from one distribution (classifier two-sample test;
Lopez-Paz and Oquab 2017). It sees what no single column shows, such as two columns that stopped going together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
import scipy

from everfit.monitoring.columns import Column, Floats
from everfit.monitoring.exact import ks_distance
from everfit.records.watch import ColumnDrift

JOINT = "classifier_two_sample"
MOST_ROWS = 20_000  # a side
MOST_TERMS = 300
_LEVELS = 8
_RIDGE = 1.0


def joint_drift(
    then: Mapping[str, Column], now: Mapping[str, Column], alpha: float, floor: float, seed: int = 0
) -> ColumnDrift | None:
    """Whether a classifier fitted on one half of the rows of `then` and `now`, columns of (rows,) each, tells the other
    half apart; None with fewer than 30 rows on a side.

    The classifier is a ridge regression on the columns' ranks, their most frequent levels, what is missing, and all
    products of two of these. The p-value is that of the Mann-Whitney test on its scores of the held-out rows, one-sided
    and exact in level whatever the classifier, for its scores there are exchangeable when nothing moved. `statistic`
    is the area under the ROC curve, and `effect` the distance of the two sides' scores: a lower bound of the share of
    rows that moved. At most 20,000 rows a side are taken, by chance.
    """
    random = np.random.default_rng(seed)
    sides = [_chosen(side, random) for side in (then, now)]
    sizes = [len(next(iter(side.values()), [])) for side in sides]
    if min(sizes) < 30 or not then.keys() & now.keys():
        return None
    matrix = _terms(*sides)
    truth = np.repeat([0.0, 1.0], sizes)
    held = np.concatenate([random.permutation(size) < size // 2 for size in sizes])
    weights = _fit(matrix[~held], truth[~held])
    score, side = matrix[held] @ weights, truth[held] > 0
    test = scipy.stats.mannwhitneyu(score[side], score[~side], alternative="greater", method="asymptotic")
    area = float(test.statistic) / (int(side.sum()) * int((~side).sum()))
    effect = ks_distance(np.sort(score[~side]), np.sort(score[side]))
    p_value = float(test.pvalue)
    return ColumnDrift("all columns", JOINT, area, p_value, p_value, effect, p_value <= alpha and effect >= floor)


def _chosen(columns: Mapping[str, Column], random: np.random.Generator) -> Mapping[str, Column]:
    rows = max(map(len, columns.values()), default=0)
    if rows <= MOST_ROWS:
        return columns
    kept = np.sort(random.choice(rows, MOST_ROWS, replace=False))
    return {name: values[kept] for name, values in columns.items()}


def _terms(then: Mapping[str, Column], now: Mapping[str, Column]) -> Floats:
    """(rows, terms): every column as numbers about zero, and the products of all pairs of them, `then` first."""
    single = [part for name in then if name in now for part in _parts(_pooled(then[name], now[name]))]
    # Products of so many parts would leave fewer rows than terms: beyond, the first parts alone are multiplied.
    few = single[: int(np.sqrt(2 * MOST_TERMS))]
    pairs = [few[i] * few[j] for i in range(len(few)) for j in range(i)]
    terms = np.column_stack([*single, *pairs])
    spread = terms.std(axis=0)
    kept = spread > 1e-9
    ones = np.ones((len(terms), 1))
    return np.column_stack([ones, (terms[:, kept] - terms[:, kept].mean(axis=0)) / spread[kept]])


def _pooled(then: Column, now: Column) -> pl.Series:
    sides = [
        side if isinstance(side, pl.Series) else pl.Series(side.tolist() if side.dtype == object else side)
        for side in (then, now)
    ]
    if any(side.dtype in (pl.String, pl.Categorical, pl.Enum) for side in sides):
        return pl.concat([side.alias("c").cast(pl.String) for side in sides])
    return pl.concat([side.alias("c").cast(pl.Float64) for side in sides]).fill_nan(None)


def _parts(values: pl.Series) -> list[Floats]:
    """A column as numbers from -1 to 1: its ranks, or its most frequent levels; and what is missing of it."""
    gone = values.is_null().to_numpy().astype(np.float64)
    if values.dtype == pl.String:
        top = values.drop_nulls().value_counts().sort(["count", "c"], descending=[True, False])["c"].head(_LEVELS)
        found = [(values == level).fill_null(False).to_numpy().astype(np.float64) for level in top]
    else:
        ranks = values.rank("average").to_numpy() / max(len(values), 1)
        found = [np.where(np.isnan(ranks), 0.0, 2 * ranks - 1)]
    return [*found, gone] if gone.any() else found


def _fit(matrix: Floats, truth: Floats) -> Floats:
    balanced = truth - truth.mean()
    gram = matrix.T @ matrix + _RIDGE * np.eye(matrix.shape[1])
    weights: Floats = np.linalg.solve(gram, matrix.T @ balanced)
    return weights
