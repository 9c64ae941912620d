"""Tests of whether two samples come from one distribution, one of them known only by its profile.

Every p-value here errs, if at all, on the large side, since an alarm budget leaves rates of one in a thousand and less
for a look, where careless approximations are wrong by factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from everfit.monitoring.columns import Floats
from everfit.monitoring.exact import ks_distance
from everfit.monitoring.profile import SAMPLE, grid

LEAST_EXPECTED = 5.0


class Outcome(NamedTuple):
    """A test's result; `effect` is the share of rows that moved, 0..1."""

    test: str
    statistic: float
    p_value: float
    effect: float


@dataclass(frozen=True, slots=True)
class Reference:
    """What a grid of order statistics tells of the reference's distribution function.

    At each distinct grid value v: `fewest_to` is the least possible share of values <= v, `most_below` the greatest
    possible share of values < v. A grid of all values makes both exact; otherwise they err by less than one grid step.
    `whole` is all values, sorted, where they are at hand.
    """

    rows: int
    values: Floats
    fewest_below: Floats
    most_below: Floats
    fewest_to: Floats
    whole: Floats | None = None


def reference(sample: Sequence[float] | Floats, rows: int, slack: float = 0.0) -> Reference:
    """The bounds that `sample`, the grid that `profile.grid` took of `rows` values, puts on the distribution.

    `slack` is how far a share may be from what the grid says, after merging. All of more than 2,000 values are kept
    as they are beside their grid."""
    values = np.asarray(sample, dtype=np.float64)
    whole = values if len(values) == rows and rows > SAMPLE else None
    if whole is not None:
        values = whole[grid(rows, SAMPLE)]
    ranks = grid(rows, len(values))
    distinct, first, repeats = np.unique(values, return_index=True, return_counts=True)
    to = np.maximum((ranks[first + repeats - 1] + 1) / rows - slack, 0.0)
    below = np.concatenate([[0.0], to[:-1]])
    return Reference(rows, distinct, below, np.minimum(ranks[first] / rows + slack, 1.0), to, whole)


class Position(NamedTuple):
    """Shares of the current values below, and at or below, each reference value; `rows` is how many there are."""

    rows: int
    below: Floats
    to: Floats


def position(ref: Reference, current: Floats) -> Position:
    """Where the sorted current values, without NaN, stand among the reference's values."""
    rows = len(current)
    below = np.searchsorted(current, ref.values, side="left")
    to = below.copy()
    tied = np.flatnonzero(current[np.minimum(below, rows - 1)] == ref.values)  # the others have no value to pass over
    to[tied] = np.searchsorted(current, ref.values[tied], side="right")
    return Position(rows, below / rows, to / rows)


def kolmogorov_smirnov(ref: Reference, now: Position, current: Floats | None = None) -> Outcome:
    """Two-sample Kolmogorov-Smirnov test of a profile against current values.

    The distance is exact when the profile holds every value (of more than 2,000 values only if the sorted `current`
    ones are given too), and else the least one that agrees with the profile, at most one grid step (1/1,999) below the
    exact one. So the reference's true number of rows may stand in the effective
    sample size nm/(n+m): the p-value can only be larger than that of the exact distance. It is the asymptotic one
    (Smirnov 1948), which is conservative for unequal samples and for ties, and right to about 1% for equal samples.

    >>> ref = reference((1.0, 2.0, 3.0, 4.0), 4)
    >>> kolmogorov_smirnov(ref, position(ref, np.array([3.0, 4.0, 5.0, 6.0]))).statistic
    0.5
    """
    if ref.whole is not None and current is not None:
        distance = ks_distance(ref.whole, current)
    else:
        distance = max(0.0, float(np.max(ref.fewest_to - now.to)), float(np.max(now.below - ref.most_below)))
    size = ref.rows * now.rows / (ref.rows + now.rows)
    return Outcome("kolmogorov_smirnov", distance, float(scipy.special.kolmogorov(np.sqrt(size) * distance)), distance)


def mann_whitney(ref: Reference, now: Position, effect: float) -> Outcome:
    """Mann-Whitney test of a profile against current values: for a plain shift it needs about half of the rows that
    Kolmogorov-Smirnov does. The statistic is P(reference < current) + P(equal)/2, one half if nothing moved.

    Where the grid leaves the rank of a value open, the value nearest to one half is taken. The normal approximation
    (Mann and Whitney 1947) without the correction for ties is conservative. `effect` is taken from the distance.
    """
    at = now.to - now.below
    between = np.concatenate([now.below[1:], [1.0]]) - now.to
    most_to = np.concatenate([ref.most_below[1:], [1.0]])
    lowest = float(at @ (ref.fewest_below + ref.fewest_to) / 2 + between @ ref.fewest_to)
    highest = float(at @ (ref.most_below + most_to) / 2 + between @ most_to)
    estimate = min(max(0.5, lowest), highest)
    spread = np.sqrt((ref.rows + now.rows + 1) / (12 * ref.rows * now.rows))
    return Outcome("mann_whitney", estimate, float(2 * scipy.stats.norm.sf(abs(estimate - 0.5) / spread)), effect)


def proportions(test: str, reference: tuple[int, int], current: tuple[int, int]) -> Outcome:
    """Fisher's exact test of two shares, each given as (rows with the property, rows); the p-value is twice the
    smaller tail of the hypergeometric distribution. The effect is the difference of the shares, and so is the
    statistic, with its sign.

    >>> proportions("missing", (0, 100), (100, 100)).effect
    1.0
    """
    (had, rows), (has, now) = reference, current
    moved = has / now - had / rows
    law = scipy.stats.hypergeom(rows + now, had + has, now)
    p_value = min(1.0, 2 * float(law.sf(has - 1) if moved > 0 else law.cdf(has)))
    return Outcome(test, moved, p_value, abs(moved))


def chi_square(reference: Mapping[str, int], current: Mapping[str, int]) -> Outcome:
    """Chi-square test of homogeneity of two samples counted by level, and their total variation distance.

    Levels too rare for the approximation are pooled, judged by both samples together, so that the choice says nothing
    about either. A level never seen before is a level like any other: as soon as it is frequent enough it counts for
    itself. The statistic is the smaller one of Pearson's and the likelihood ratio's: each is too large in one tail
    where counts are small. With all levels rare there is nothing to compare and the p-value is 1.

    >>> chi_square({"a": 500, "b": 500}, {"a": 500, "c": 500}).effect
    0.5
    """
    table = _pooled(reference, current)
    if table.shape[1] < 2:
        return Outcome("chi_square", 0.0, 1.0, 0.0)
    sizes = table.sum(axis=1, keepdims=True)
    expected = sizes * table.sum(axis=0) / sizes.sum()
    pearson = float(((table - expected) ** 2 / expected).sum())
    likelihood = float(2 * scipy.special.rel_entr(table, expected).sum())
    statistic = min(pearson, likelihood)
    moved = float(np.abs(table[0] / sizes[0] - table[1] / sizes[1]).sum() / 2)
    return Outcome("chi_square", statistic, float(scipy.special.chdtrc(table.shape[1] - 1, statistic)), moved)


def _pooled(reference: Mapping[str, int], current: Mapping[str, int]) -> NDArray[np.float64]:
    """(2, cells) counts, rarest levels pooled until every expected count is at least five."""
    levels = sorted(reference.keys() | current.keys())
    table = np.array([[side.get(level, 0) for level in levels] for side in (reference, current)], dtype=np.float64)
    totals = table.sum(axis=0)
    order = np.argsort(totals, kind="stable")
    table, totals = table[:, order], totals[order]
    share = table.sum(axis=1).min() / table.sum()
    rare = int((totals * share < LEAST_EXPECTED).sum())
    while 0 < rare < len(totals) and totals[:rare].sum() * share < LEAST_EXPECTED:
        rare += 1
    return np.column_stack([table[:, :rare].sum(axis=1), table[:, rare:]]) if rare else table
