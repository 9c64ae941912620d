"""Drift of all columns together, by a classifier that tries to tell earlier rows from current ones.

If none can, on rows it was not fitted on, the two windows come from one distribution (classifier two-sample test;
Lopez-Paz and Oquab 2017). It sees what no single column shows, such as two columns that stopped going together.

A ridge regression needs of its rows only the sums of products of their terms. Those of several windows are added, so
that each of many windows is held against any choice of the others for the price of one encoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy
from numpy.typing import NDArray

from everfit.monitoring.columns import Column, Floats
from everfit.monitoring.exact import ks_distance
from everfit.monitoring.two_sample import Outcome
from everfit.records.watch import ColumnDrift

JOINT, EVERY = "classifier_two_sample", "all columns"
MOST_ROWS = 20_000  # a side
MOST_TERMS = 300
LEAST_ROWS = 30
_LEVELS = 8
_RIDGE = 1.0
_COMMON = 0.04  # the least variance of a part that is multiplied: a level that one in 24 rows has
_FEW = int(np.sqrt(2 * MOST_TERMS))  # parts that are multiplied; products of more would leave fewer rows than terms
Singles = NDArray[np.float32]
Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, slots=True)
class Halves:
    """A window's rows, one half to fit on and the other to be told apart: of the former the sums of products of all
    terms, (terms, terms), the first term being one; of the latter the single `parts`, (rows, parts). `pairs` are the
    parts that are multiplied: of two columns each, the first with the second."""

    products: Floats
    held: Singles
    pairs: Pairs

    @property
    def fitted(self) -> int:
        """How many rows there are to fit on."""
        return round(float(self.products[0, 0]))


def joint_drift(
    then: Mapping[str, Column], now: Mapping[str, Column], alpha: float, floor: float, seed: int = 0
) -> ColumnDrift | None:
    """Whether a classifier fitted on one half of the rows of `then` and `now`, columns of (rows,) each, tells the other
    half apart; None with fewer than 30 rows on a side. At most 20,000 rows a side are taken, by chance."""
    shared = [name for name in then if name in now]
    sides = [{name: side[name] for name in shared} for side in (then, now)]
    if not shared or min(len(side[shared[0]]) for side in sides) < LEAST_ROWS:
        return None
    earlier, current = halves(sides, MOST_ROWS, seed)
    _, area, p_value, effect = told_apart(current, [earlier])
    return ColumnDrift(EVERY, JOINT, area, p_value, p_value, effect, p_value <= alpha and effect >= floor)


def halves(
    windows: Sequence[Mapping[str, Column]], most: int, seed: int = 0, ranked_within: bool = False
) -> list[Halves]:
    """Each window, columns of the same names, of its rows at most `most` by chance, in terms that all of them share.
    With `ranked_within` each half of a window has its own ranks, so that only how the columns go together can tell it.
    Ranks of the whole window would tie its halves: what one has too much of the other would lack."""
    random = np.random.default_rng(seed)
    chosen = [_chosen(one, most, random) for one in windows]
    names = list(windows[0]) if windows else []
    parts = [_parts(_pooled([one[name] for one in chosen])) for name in names]
    single = np.column_stack([part for several in parts for part in several])
    pairs = _pairs(single, [len(several) for several in parts])
    sizes = [max(map(len, one.values()), default=0) for one in chosen]
    found = []
    for rows in np.split(single, np.cumsum(sizes)[:-1]):
        held = random.permutation(len(rows)) < len(rows) // 2
        fit, rest = (_within(half) if ranked_within else half for half in (rows[~held], rows[held]))
        found.append(Halves(_products(fit, pairs), rest, pairs))
    return found


def told_apart(one: Halves, others: Sequence[Halves]) -> Outcome:
    """How well a classifier fitted on the first halves tells the second half of `one` from those of the `others`.

    The classifier is a ridge regression on the columns' ranks, their most frequent levels, what is missing, and all
    products of two of these. The p-value is that of the Mann-Whitney test on its scores of the held-out rows, one-sided
    and exact in level whatever the classifier, for its scores there are exchangeable when nothing moved. `statistic`
    is the area under the ROC curve, and `effect` the distance of the two sides' scores: a lower bound of the share of
    rows that moved."""
    weights = _fit(one, others)
    ours = _scores(weights, one)
    theirs = np.concatenate([_scores(weights, other) for other in others])
    test = scipy.stats.mannwhitneyu(ours, theirs, alternative="greater", method="asymptotic")
    area = float(test.statistic) / (len(ours) * len(theirs))
    return Outcome(JOINT, area, float(test.pvalue), ks_distance(np.sort(theirs), np.sort(ours)))


def _chosen(columns: Mapping[str, Column], most: int, random: np.random.Generator) -> Mapping[str, Column]:
    rows = max(map(len, columns.values()), default=0)
    if rows <= most:
        return columns
    kept = np.sort(random.choice(rows, most, replace=False))
    return {name: values[kept] for name, values in columns.items()}


def _pooled(sides: Sequence[Column]) -> pl.Series:
    every = [
        side if isinstance(side, pl.Series) else pl.Series(side.tolist() if side.dtype == object else side)
        for side in sides
    ]
    if any(side.dtype in (pl.String, pl.Categorical, pl.Enum) for side in every):
        return pl.concat([side.alias("c").cast(pl.String) for side in every])
    return pl.concat([side.alias("c").cast(pl.Float64) for side in every]).fill_nan(None)


def _parts(values: pl.Series) -> list[Singles]:
    """A column as numbers from -1 to 1: its ranks, or its most frequent levels; and what is missing of it."""
    gone = values.is_null().to_numpy().astype(np.float32)
    if values.dtype == pl.String:
        top = values.drop_nulls().value_counts().sort(["count", "c"], descending=[True, False])["c"].head(_LEVELS)
        found = [(values == level).fill_null(False).to_numpy().astype(np.float32) for level in top]
    else:
        ranks = values.rank("average").to_numpy() / max(len(values), 1)
        found = [np.where(np.isnan(ranks), 0.0, 2 * ranks - 1).astype(np.float32)]
    return [*found, gone] if gone.any() else found


def _within(single: Singles) -> Singles:
    """Ranks of the rows among themselves: of each part, a flag too, the mean is 0."""
    ranks: Singles = (2 * scipy.stats.rankdata(single, axis=0) / (len(single) + 1) - 1).astype(np.float32)
    return ranks


def _pairs(single: Singles, parts: Sequence[int]) -> Pairs:
    """The places of two parts of two columns, given how many parts each column has. Rare levels are left out: with
    another they meet in too few rows to learn from, and one such row would outweigh all else."""
    column = np.repeat(np.arange(len(parts)), parts)
    common = np.flatnonzero(single.var(axis=0) >= _COMMON)[:_FEW]
    places, others = np.triu_indices(len(common), 1)
    first, second = common[places], common[others]
    apart = column[first] != column[second]
    return first[apart], second[apart]


def _products(single: Singles, pairs: Pairs) -> Floats:
    """The sums over rows of the products of all terms: one, each single part, each product of two parts."""
    columns = np.ascontiguousarray(single.T)
    terms = np.concatenate([np.ones((1, len(single)), np.float32), columns, columns[pairs[0]] * columns[pairs[1]]])
    products: Floats = (terms @ terms.T).astype(np.float64)
    return products


def _fit(one: Halves, others: Sequence[Halves]) -> Floats:
    """(terms,) weights of the ridge regression of whose a row is, each term taken in its standard deviations."""
    gram = sum((other.products for other in others), one.products.copy())
    rows = gram[0, 0]
    goal = one.products[0] - one.fitted / rows * gram[0]
    spread = np.maximum(np.diag(gram) / rows - (gram[0] / rows) ** 2, 1e-9)
    gram[np.diag_indices_from(gram)] += _RIDGE * spread
    weights: Floats = scipy.linalg.solve(gram, goal, assume_a="pos")
    return weights


def _scores(weights: Floats, one: Halves) -> Floats:
    """(rows,) scores of the held-out rows; the products of parts are a quadratic form of them."""
    parts = one.held.shape[1]
    form = np.zeros((parts, parts))
    form[one.pairs] = weights[1 + parts :]
    values = one.held.astype(np.float64)
    scores: Floats = weights[0] + values @ weights[1 : 1 + parts] + np.einsum("ij,ij->i", values @ form, values)
    return scores
