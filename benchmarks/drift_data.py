"""Tables for the drift benchmarks: twenty columns of shapes that the defaults were chosen on, and twenty others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.records.table import Kind

Generator = np.random.Generator
Columns = dict[str, pl.Series]


@dataclass(frozen=True)
class Shapes:
    """How each column is drawn. `shifted` is the numeric column that the benchmarks move and `spread` its standard
    deviation; `raised` is the categorical one, whose last level holds 5% of the rows; `emptied` loses values."""

    numeric: Mapping[str, Callable[[Generator, int], NDArray[np.floating[Any]]]]
    categorical: Mapping[str, NDArray[np.float64]]
    nulls: Mapping[str, float]
    shifted: str
    spread: float
    raised: str
    emptied: str

    @property
    def kinds(self) -> dict[str, Kind]:
        return dict.fromkeys(self.numeric, Kind.NUMERIC) | dict.fromkeys(self.categorical, Kind.CATEGORICAL)


# Zipf-like tails and rare levels are where counting rules go wrong, ties and masses at one value where ranks do.
KNOWN = Shapes(
    numeric={
        "normal": lambda g, n: g.normal(size=n),
        "exponential": lambda g, n: g.exponential(size=n),
        "lognormal": lambda g, n: g.lognormal(size=n),
        "months": lambda g, n: g.integers(0, 73, n).astype(np.float64),
        "mostly zero": lambda g, n: np.where(g.random(n) < 0.6, 0.0, g.gamma(2.0, size=n)),
        "uniform": lambda g, n: g.random(n),
        "heavy tails": lambda g, n: g.standard_t(2, size=n),
        "counts": lambda g, n: g.poisson(2, n).astype(np.float64),
        "rounded": lambda g, n: np.round(g.normal(size=n), 1),
        "two humps": lambda g, n: g.normal(size=n) + 5 * g.integers(0, 2, n),
        "U-shaped": lambda g, n: g.beta(0.5, 0.5, n),
        "skewed money": lambda g, n: np.round(g.gamma(2.0, 33.0, n), 2),
    },
    categorical={
        "coin": np.array([0.5, 0.5]),
        "rare flag": np.array([0.97, 0.03]),
        "contract": np.array([0.55, 0.24, 0.21]),
        "payment": np.array([0.4, 0.35, 0.2, 0.05]),
        "days": np.full(7, 1 / 7),
        "region": 1 / np.arange(1, 13),
        "city": 1 / np.arange(1, 61),
        "street": 1 / np.arange(1, 3_001) ** 0.7,
    },
    nulls={"exponential": 0.05, "rounded": 0.2, "contract": 0.01},
    shifted="normal",
    spread=1.0,
    raised="payment",
    emptied="uniform",
)
FRESH = Shapes(
    numeric={
        "logistic": lambda g, n: g.logistic(size=n),
        "Pareto": lambda g, n: g.pareto(1.5, n),
        "Gumbel": lambda g, n: g.gumbel(size=n),
        "triangular": lambda g, n: g.triangular(0, 0.1, 1, n),
        "Cauchy": lambda g, n: np.asarray(g.standard_cauchy(n)),
        "clipped": lambda g, n: np.where(g.random(n) < 0.2, 2.0, g.exponential(size=n)),
        "geometric": lambda g, n: g.geometric(0.3, n).astype(np.float64),
        "to fives": lambda g, n: 5 * np.round(g.normal(40, 12, n) / 5),
        "spike in the middle": lambda g, n: np.where(g.random(n) < 0.3, 0.0, g.normal(size=n)),
        "year": lambda g, n: 2026 - np.floor(g.weibull(1.2, n) * 9),
        "three scales": lambda g, n: g.normal(size=n) * 10.0 ** g.integers(-2, 3, n),
        "binary": lambda g, n: (g.random(n) < 0.04).astype(np.float64),
    },
    categorical={
        "fair die": np.full(6, 1 / 6),
        "nearly one": np.array([0.995, 0.003, 0.002]),
        "plan": np.array([0.6, 0.35, 0.05]),
        "grade": np.array([0.05, 0.1, 0.2, 0.3, 0.2, 0.1, 0.05]),
        "hour": 1 + np.cos(np.arange(24) / 4),
        "shop": np.exp(-np.arange(90) / 10),
        "article": 1 / np.arange(1, 901),
        "word": 1 / np.arange(1, 6_001),
    },
    nulls={"Pareto": 0.5, "year": 0.003, "shop": 0.1},
    shifted="logistic",
    spread=np.pi / np.sqrt(3),
    raised="plan",
    emptied="triangular",
)


def sample(shapes: Shapes, generator: Generator, rows: int) -> Columns:
    """That many rows of every column."""
    columns = {name: pl.Series(name, draw(generator, rows)) for name, draw in shapes.numeric.items()}
    for name, weights in shapes.categorical.items():
        levels = pl.Enum([f"level {i}" for i in range(len(weights))])
        codes = generator.choice(len(weights), rows, p=weights / weights.sum())
        columns[name] = pl.Series(name, codes.astype(np.uint32)).cat.to(levels)
    for name, share in shapes.nulls.items():
        columns[name] = emptied(generator, columns[name], share)
    return columns


def emptied(generator: Generator, values: pl.Series, share: float) -> pl.Series:
    """The values, that share of them missing by chance."""
    return values.set(pl.Series(generator.random(len(values)) < share), None)


SHIFTS = ("+.1 sd", "+3 points of a level", "+5 points missing")


def shifted(shapes: Shapes, generator: Generator, columns: Columns, shift: str) -> Columns:
    """The columns with one of them moved."""
    moved = dict(columns)
    if shift == SHIFTS[0]:
        moved[shapes.shifted] = columns[shapes.shifted] + 0.1 * shapes.spread
    elif shift == SHIFTS[1]:
        values = columns[shapes.raised]
        last = values.dtype.categories[-1]  # type: ignore[attr-defined]
        others = (values != last).to_numpy() & (generator.random(len(values)) < 0.03 / 0.95)
        moved[shapes.raised] = values.set(pl.Series(others), last)
    else:
        moved[shapes.emptied] = emptied(generator, columns[shapes.emptied], 0.05)
    return moved
