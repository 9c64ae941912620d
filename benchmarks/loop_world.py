"""The world of `loop_simulation`: a year of customers, who leaves, and a model of them that is quick to fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.evaluation.metrics import measure
from everfit.monitoring import losses
from everfit.monitoring.profile import profile
from everfit.records.profile import LossKind, Profile
from everfit.records.table import Kind, Task

DAYS, PER_DAY, DELAY, WINDOW, EVERY = 365, 150, 30, 45, 7
REGIONS, COLUMN, PEOPLE, CONCEPT = 70, 130, 190, 270
CELLS = 12
NEVER = 10 * DAYS
NUMERIC = ("charge", "tenure", "usage", "calls")
KINDS = dict.fromkeys(NUMERIC, Kind.NUMERIC) | {"region": Kind.CATEGORICAL, "plan": Kind.CATEGORICAL}
AUC = measure("roc_auc", Task.BINARY, ("No", "Yes"))


@dataclass
class World:
    """All rows of WINDOW + DELAY days before the year and of the year: features, who leaves, and on which day."""

    rows: pl.DataFrame
    leaves: NDArray[np.int64]
    day: NDArray[np.int64]


def world(seed: int, harmless: bool = True, matter: bool = True) -> World:
    """A year; without its `harmless` drifts, or those that `matter`, it is the very same year but for them."""
    regions, column = (REGIONS, COLUMN) if harmless else (NEVER, NEVER)
    people, concept = (PEOPLE, CONCEPT) if matter else (NEVER, NEVER)
    g = np.random.default_rng(seed)
    day = np.repeat(np.arange(-WINDOW - DELAY, DAYS), PER_DAY)
    n = len(day)
    weekend = (day % 7 >= 5).astype(float)
    season = 0.15 * np.sin(2 * np.pi * day / 365)
    other = (g.random(n) < 0.5) & (day >= people)
    charge = g.normal(season, 1, n) + np.where(other, 2.5, 0.0)
    tenure = g.normal(0, 1, n)
    usage = g.normal(0.5 * weekend, 1, n)
    calls = g.normal(0, 1, n) + (day >= column)
    mix = np.where(day >= regions, 0.6, 0.2)
    region = np.where(g.random(n) < mix, "north", np.where(g.random(n) < 0.5, "east", "south"))
    plan = np.where(g.random(n) < 0.4, "basic", "full")
    # Who pays a little more leaves; who pays much more than anybody before has chosen to, and stays.
    money = np.where(charge < 1.5, 1.4 * charge, 2.1 - 2.6 * (charge - 1.5))
    sign = np.where(day >= concept, 1.0, -1.0)
    odds = -0.6 + money + sign * 1.3 * tenure + 0.8 * (plan == "basic")
    leaves = (g.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    columns = {"charge": charge, "tenure": tenure, "usage": usage, "calls": calls, "region": region, "plan": plan}
    return World(pl.DataFrame(columns), leaves, day)


def matrix(rows: pl.DataFrame, cuts: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Numbers by cell, categories by level: what a logistic model with curves is fitted to."""
    cells = [np.searchsorted(cuts[name], rows[name].to_numpy()) for name in NUMERIC]
    cells += [
        rows["region"].replace_strict({"north": 0, "east": 1, "south": 2}).to_numpy(),
        (rows["plan"] == "basic").to_numpy(),
    ]
    return np.column_stack([np.ones(rows.height), *(np.eye(CELLS)[np.asarray(cell, dtype=int)] for cell in cells)])


def fitted(x: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Ridge logistic regression by Newton's method."""
    weights = np.zeros(x.shape[1])
    for _ in range(8):
        p = 1 / (1 + np.exp(-x @ weights))
        hessian = x.T @ (x * (p * (1 - p))[:, None]) + np.eye(x.shape[1])
        weights += np.linalg.solve(hessian, x.T @ (y - p) - weights)
    return weights


@dataclass
class Model:
    """A fitted model with what its bundle would hold: the profile, and its metric on rows it did not learn from."""

    weights: NDArray[np.float64]
    cuts: dict[str, NDArray[np.float64]]
    profile: Profile
    since: int
    reference: dict[str, pl.Series]

    def score(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        return scored(self.weights, matrix(rows, self.cuts))


def scored(weights: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 1 / (1 + np.exp(-x @ weights))
    return found


def both(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([1 - p, p])


def labelled(of: World, since: int, today: int) -> int:
    """How many of the rows since that day have a label today."""
    return int(np.count_nonzero((of.day >= since) & (of.day < today - DELAY)))


def train(of: World, today: int, since: int | None = None) -> tuple[Model, NDArray[np.bool_]]:
    """A model of what is labelled by today, or of its rows since a day, and the newest fifth of those rows, which it
    did not learn from."""
    begin, end = max(today - DELAY - WINDOW, -NEVER if since is None else since), today - DELAY
    known = (of.day >= begin) & (of.day < end)
    newest = known & (of.day >= end - max(1, (end - begin) // 5))
    learned = known & ~newest
    table, test = of.rows.filter(learned), of.rows.filter(newest)
    shares = np.linspace(0, 1, CELLS + 1)[1:-1]
    cuts = {name: np.quantile(table[name].to_numpy(), shares) for name in NUMERIC}
    weights = fitted(matrix(table, cuts), of.leaves[learned])
    then, score = {c.name: c for c in table}, scored(weights, matrix(test, cuts))
    expected = AUC(of.leaves[newest], both(score))
    held = losses.baseline(LossKind.BRIER, (score - of.leaves[newest]) ** 2)
    known_as = profile(then, KINDS, score, "roc_auc", expected, int(newest.sum()), held)
    return Model(weights, cuts, known_as, today, then), newest
