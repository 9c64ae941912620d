"""The tail of two latency distributions: how many times longer the challenger's slowest requests take.

A quantile q of level p is a point that a share 1 - p of requests pass, so that what is known of q at any time follows
from bets on "a request passes x" for every x (Howard and Ramdas, "Sequential estimation of quantiles", Bernoulli 28
(2022), section 3). Two arms: "the challenger's quantile is at most r times the champion's" means that for one x, the
champion's own quantile, the champion passes x with at least that share and the challenger passes r x with at most it.
The evidence is the least over x, of a mixture of three bets: on either arm alone, and on both.

Latencies are counted in classes 1% wide, so that a million of them are a few numbers and any two looks add up.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from everfit.rollout.betting import Floats

Counts = NDArray[np.int64]

SHORTEST = 1e-6
CLASSES = 2100
_WIDTH = np.log(1.01)
_OFTENER = np.array([1.3, 1.7, 2.5, 5.0, 20.0])
_RARER = np.array([0.02, 0.2, 0.45, 0.7, 0.85])


def classes(seconds: Floats) -> Counts:
    """How many of the latencies (n,) fall into each of the 2,100 classes: from a microsecond to twenty minutes.

    >>> int(classes(np.array([0.01, 0.01, 3.0])).max())
    2
    """
    return np.bincount(_places(seconds), minlength=CLASSES)


def quantile(counts: Counts, level: float) -> float:
    """The upper edge, in seconds, of the class that holds the quantile; there must be one."""
    place = int(np.searchsorted(counts.cumsum(), level * counts.sum()))
    return float(SHORTEST * np.exp(_WIDTH * (place + 1)))


def slower(champion: Counts, challenger: Counts, ratio: float, level: float, floor: float) -> float:
    """The log evidence against "the challenger's quantile is at most `ratio` times the champion's, or below `floor`
    seconds".

    >>> fast, slow = classes(np.full(2000, 0.1)), classes(np.full(2000, 0.2))
    >>> slower(fast, slow, 1.5, 0.99, 0.0) > 10, slower(fast, slow, 2.5, 0.99, 0.0) < 0
    (True, True)
    """
    below = _against(champion, level, rarer=True)
    above = _against(challenger, level, rarer=False)
    return _least(below, above, _shifted(ratio, floor, up=True))


def not_slower(champion: Counts, challenger: Counts, ratio: float, level: float, floor: float) -> float:
    """The log evidence against "the challenger's quantile is more than `ratio` times the champion's and above
    `floor` seconds": evidence that it is fast enough."""
    below = _against(champion, level, rarer=False)
    above = _against(challenger, level, rarer=True)
    return _least(below, above, _shifted(ratio, floor, up=False))


def above(counts: Counts, seconds: float, ratio: float = 1.0, floor: float = 0.0, up: bool = True) -> int:
    """How many latencies are at or above `ratio` times the class that holds `seconds`, or `floor` if that is longer;
    rounded to a class above (`up`) or below.

    >>> above(classes(np.array([0.1, 0.2, 0.3])), 0.1, 1.5)
    2
    """
    place = int(_places(seconds)) + int(_steps(ratio, up))
    return int(counts[max(place, int(_steps(max(floor, SHORTEST) / SHORTEST, up))) :].sum())


def _places(seconds: Floats | float) -> Counts:
    logs = np.log(np.maximum(seconds, SHORTEST) / SHORTEST) / _WIDTH
    return np.asarray(np.minimum(logs.astype(np.int64), CLASSES - 1))


def _steps(ratio: float, up: bool) -> float:
    steps = np.log(ratio) / _WIDTH
    return float(np.ceil(steps - 1e-9) if up else np.floor(steps + 1e-9))


def _shifted(ratio: float, floor: float, up: bool) -> Counts:
    """For every class of the champion the class of the challenger to hold it against, rounded in favour of what is
    to be refuted."""
    shift = np.arange(CLASSES) + int(_steps(ratio, up)) + (1 if up else -1)
    least = int(_steps(max(floor, SHORTEST) / SHORTEST, up))
    return np.clip(np.maximum(shift, least), 0, CLASSES)


def _least(champion: Floats, challenger: Floats, shift: Counts) -> float:
    other = challenger[shift]
    first = champion[: len(shift)]
    three = np.logaddexp(np.logaddexp(first, other), first + other) - np.log(3)
    return float(three.min())


def _against(counts: Counts, level: float, rarer: bool) -> Floats:
    """For each class's lower edge x, and beyond the last, the log wealth of bets against "the share of requests of x
    or longer is at most 1 - level", or with `rarer` at least."""
    total = int(counts.sum())
    longer = np.concatenate([counts[::-1].cumsum()[::-1], [0]])
    hit, miss = _odds(1 - level, rarer)
    wealth = longer[:, None] * hit + (total - longer)[:, None] * miss
    highest = wealth.max(axis=1)
    return np.asarray(highest + np.log(np.exp(wealth - highest[:, None]).mean(axis=1)))


@lru_cache(maxsize=16)
def _odds(share: float, rarer: bool) -> tuple[Floats, Floats]:
    """The log pay of each bet for a request that is as long, and for one that is not."""
    rates = _RARER if rarer else np.minimum(_OFTENER, 0.5 / share)
    return np.log(rates), np.log((1 - rates * share) / (1 - share))
