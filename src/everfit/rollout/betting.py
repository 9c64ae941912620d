"""Bets against "the challenger is worse by at most so much": evidence that may be looked at after every request.

Who bets against a true hypothesis multiplies his wealth by more than 1 / alpha ever with probability at most alpha
(Ville 1939), however often one looks. Betting on the mean of bounded values: Waudby-Smith and Ramdas, "Estimating
means of bounded random variables by betting", JRSS B 86 (2024), section 4; a mixture of constant bets in place of one
that is adapted, so that the wealth depends on how often each value was seen and not on the order.

The value of a request with outcome y in [0, 1] is its contrast: (y - c) / w on the challenger, whose share of traffic
is w, and -(y - c) / (1 - w) on the champion. A contrast's mean is the difference of the arms' means whatever happens
to the service meanwhile, because chance alone decides which arm answers: an outage of both arms is no evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# How many times more often than allowed the challenger fails, and the share of the wealth that is bet on it. A
# regression that matters is mostly one of two to five times; the rest is for slow leaks and for outages.
RATES = ((1.25, 0.05), (1.6, 0.1), (2.3, 0.5), (3.5, 0.2), (8.0, 0.1), (50.0, 0.05))
_FRACTIONS = np.geomspace(0.003, 0.97, 20)


@dataclass(frozen=True, slots=True)
class Bets:
    """Fractions (k,) of the wealth put at stake each time, in 0..1, and the share (k,) of the wealth behind each."""

    fractions: Floats
    shares: Floats


@dataclass(frozen=True, slots=True)
class Contrasts:
    """Values (n,) with how often each was seen (n,), and the least and the greatest that there can be."""

    values: Floats
    counts: Floats
    least: float
    greatest: float

    @property
    def negated(self) -> Contrasts:
        """The same with the arms' parts exchanged."""
        return Contrasts(-self.values, self.counts, -self.greatest, -self.least)


def spread() -> Bets:
    """Bets of every size from 0.3% to 97% of the wealth, for differences of unknown size.

    >>> spread().fractions.shape, round(float(spread().shares.sum()), 6)
    ((20,), 1.0)
    """
    return Bets(_FRACTIONS, np.full(len(_FRACTIONS), 1 / len(_FRACTIONS)))


def on_rates(share: float) -> Bets:
    """The bets of `RATES` for outcomes as rare as errors, where the challenger has that share of traffic: of what
    failed, one r times as often as the champion, per request, has the share w r / (w r + 1 - w).

    >>> [round(float(f), 2) for f in on_rates(0.5).fractions]
    [0.11, 0.23, 0.39, 0.56, 0.78, 0.96]
    """
    rates, shares = np.array(RATES).T
    return Bets((rates - 1) / (rates - 1 + 1 / share), shares)


def contrasts(
    outcomes: Floats, champion: NDArray[Any], challenger: NDArray[Any], share: float, centre: float = 0.0
) -> Contrasts:
    """The contrasts of outcomes (n,) in [0, 1] of which each arm saw so many (n,). `centre` must be known beforehand;
    the nearer it is to the mean, the less noise.

    >>> contrasts(np.array([0.0, 1.0]), np.array([90, 1]), np.array([9, 2]), 0.1).values
    array([-0.        , -1.11111111,  0.        , 10.        ])
    """
    values = np.concatenate([-(outcomes - centre) / (1 - share), (outcomes - centre) / share])
    least = min(-(1 - centre) / (1 - share), -centre / share)
    greatest = max((1 - centre) / share, centre / (1 - share))
    return Contrasts(values, np.concatenate([champion, challenger]).astype(np.float64), least, greatest)


def log_wealth(seen: Contrasts, margin: float, bets: Bets) -> Floats:
    """The log wealth (k,) of each bet against "the mean is at most `margin`"; it falls as the margin rises.

    A fraction f at stake turns the wealth by 1 - f + f (z - least) / (margin - least), whose mean is at most 1.

    >>> twenty = contrasts(np.array([1.0]), np.array([0]), np.array([20]), 0.5)
    >>> bool(mixed([log_wealth(twenty, 0.0, on_rates(0.5))], on_rates(0.5)) > np.log(1000))
    True
    """
    if not seen.least < margin < seen.greatest:
        # Certainly true, or certainly not, whatever was seen.
        return np.full(len(bets.fractions), -np.inf if margin >= seen.greatest else np.inf)
    stakes = (seen.values - seen.least) / (margin - seen.least) - 1
    return np.asarray(np.log1p(bets.fractions[:, None] * stakes) @ seen.counts)


def mixed(steps: Sequence[Floats], bets: Bets) -> float:
    """The log wealth of all bets together after steps (each (k,)) that followed one another, which may be none."""
    total = np.sum(np.stack(steps), axis=0) if steps else np.zeros(len(bets.shares))
    return log_sum(total + np.log(bets.shares))


def log_sum(logs: Floats) -> float:
    """The log of the sum of what has these logs (n,), of which none may be above what a float holds.

    >>> round(log_sum(np.log([1.0, 2.0, 3.0])), 6) == round(float(np.log(6)), 6)
    True
    """
    highest = float(logs.max())
    return highest if np.isinf(highest) else highest + float(np.log(np.exp(logs - highest).sum()))
