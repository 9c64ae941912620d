"""Tests of "the challenger's error rate exceeds the champion's by more than the margin", exact at any sample size.

Both hold the null hypothesis p2 <= p1 + margin for two binomial error rates, p1 the champion's and p2 the
challenger's, and order outcomes by the log likelihood ratio against it. Requests are taken as independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

_BISECTIONS = 50
_GRID = 101
_TAIL = 1e-9
# Error rates of a service are small: a prior near zero pays less for not knowing the champion's rate.
_PRIORS = ((0.5, 20.0), (0.5, 5.0))


@dataclass(frozen=True, slots=True)
class Counts:
    """Errors and requests of the champion (1) and of the challenger (2)."""

    x1: int
    n1: int
    x2: int
    n2: int


def log_e_value(counts: Counts, margin: float) -> float:
    """The log of the evidence against the null so far; reject when it passes log(1 / alpha).

    A mixture likelihood over the greatest likelihood under the null (Wasserman, Ramdas and Balakrishnan, "Universal
    inference", PNAS 2020, section 8): below the null's true likelihood ratio, a martingale that starts at 1, so by
    Ville's inequality it passes 1 / alpha ever, however often one looks, with probability at most alpha.

    >>> log_e_value(Counts(5, 1000, 8, 10), 0.005) > 9
    True
    >>> log_e_value(Counts(5, 1000, 0, 10), 0.005) < 0
    True
    """
    arms = ((counts.x1, counts.n1), (counts.x2, counts.n2))
    mixture = sum(
        float(scipy.special.betaln(x + a, n - x + b) - scipy.special.betaln(a, b))
        for (x, n), (a, b) in zip(arms, _PRIORS, strict=True)
    )
    x1, x2 = np.asarray([counts.x1]), np.asarray([counts.x2])
    return mixture - float(_null_likelihood(x1, counts.n1, x2, counts.n2, margin)[0])


@lru_cache(maxsize=4096)
def p_value(counts: Counts, margin: float, gamma: float) -> float:
    """The exact unconditional p-value for one look, at a time that the errors did not choose.

    The greatest tail probability over the champion's rates in their Clopper-Pearson interval of level 1 - gamma, plus
    gamma (Berger and Boos, JASA 1994), of all outcomes whose likelihood ratio is at least the observed one. The
    maximum is taken over 101 rates. By the envelope theorem the ratio rises in the challenger's errors and falls in
    the champion's, so the null's worst case lies on its edge p2 = p1 + margin.

    >>> round(p_value(Counts(5, 1000, 8, 100), 0.005, 0.001), 3)
    0.001
    >>> p_value(Counts(5, 1000, 1, 100), 0.005, 0.001)
    1.0
    """
    x1, n1, x2, n2 = counts.x1, counts.n1, counts.x2, counts.n2
    if n1 == 0 or n2 == 0 or x2 / n2 <= x1 / n1 + margin:
        return 1.0
    low = float(scipy.stats.beta.ppf(gamma / 2, x1, n1 - x1 + 1)) if x1 else 0.0
    high = float(scipy.stats.beta.isf(gamma / 2, x1 + 1, n1 - x1)) if x1 < n1 else 1.0
    rates = np.linspace(low, min(high, 1 - margin), _GRID)
    if low > 1 - margin:
        return 1.0
    outcomes = np.arange(scipy.stats.binom.ppf(_TAIL, n1, rates[0]), scipy.stats.binom.isf(_TAIL, n1, rates[-1]) + 1)
    least = _least_extreme(outcomes, counts, margin)
    tails = scipy.stats.binom.sf(least - 1, n2, rates[:, None] + margin)
    chance = np.asarray(scipy.stats.binom.pmf(outcomes, n1, rates[:, None]) * tails)
    return min(1.0, float(chance.sum(axis=1).max()) + gamma + 2 * _TAIL)


def _least_extreme(outcomes: NDArray[Any], counts: Counts, margin: float) -> NDArray[Any]:
    """For each number of champion errors, the fewest challenger errors at least as extreme as those observed
    (n2 + 1 where there is none), found by bisection."""
    n1, n2 = counts.n1, counts.n2
    # Rounding must not push the observed outcome out of its own tail.
    observed = _ratio(np.asarray([counts.x1]), n1, np.asarray([counts.x2]), n2, margin)[0] - 1e-9
    low, high = np.zeros_like(outcomes), np.full_like(outcomes, n2 + 1)
    while (low < high).any():
        middle = np.floor((low + high) / 2)
        extreme = _ratio(outcomes, n1, np.minimum(middle, n2), n2, margin) >= observed
        reached = (extreme | (middle > n2)) & (low < high)
        high = np.where(reached, middle, high)
        low = np.where(reached | (low >= high), low, middle + 1)
    return np.asarray(high)


def _ratio(x1: NDArray[Any], n1: int, x2: NDArray[Any], n2: int, margin: float) -> NDArray[Any]:
    """Log likelihood ratio of the free maximum over the null's; 0 where the rates observed lie within the null."""
    free = _likelihood(x1, n1, x1 / n1) + _likelihood(x2, n2, x2 / n2)
    return np.asarray(free - _null_likelihood(x1, n1, x2, n2, margin))


def _null_likelihood(x1: NDArray[Any], n1: int, x2: NDArray[Any], n2: int, margin: float) -> NDArray[Any]:
    """The greatest log likelihood with p2 <= p1 + margin: the free one, or that on the edge p2 = p1 + margin."""
    p1, p2 = x1 / max(n1, 1), x2 / max(n2, 1)
    free = _likelihood(x1, n1, p1) + _likelihood(x2, n2, p2)
    inside = (p2 <= p1 + margin) | (n1 == 0)
    # The edge's likelihood is concave in p1 and peaks between the two rates observed.
    low, high = np.minimum(p1, 1 - margin), np.clip(p2 - margin, 0, 1 - margin)
    for _ in range(_BISECTIONS):
        p = (low + high) / 2
        rising = _slope(x1, n1, p) + _slope(x2, n2, p + margin) > 0
        low, high = np.where(rising, p, low), np.where(rising, high, p)
    p = (low + high) / 2
    edge = _likelihood(x1, n1, p) + _likelihood(x2, n2, p + margin)
    return np.asarray(np.where(inside, free, edge))


def _likelihood(x: NDArray[Any], n: int, p: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(scipy.special.xlogy(x, p) + scipy.special.xlogy(n - x, 1 - p))


def _slope(x: NDArray[Any], n: int, p: NDArray[Any]) -> NDArray[Any]:
    inner = np.clip(p, 1e-300, 1 - 1e-16)
    return np.asarray(x / inner - (n - x) / (1 - inner))
