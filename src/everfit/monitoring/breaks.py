"""Values such as training never saw: beyond its range, or of a level that it did not hold.

A share of rows too small to move a distribution can still be a broken feed, so they have tests and a floor of their
own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from everfit.monitoring.columns import Floats
from everfit.monitoring.two_sample import Outcome

_FACTORS = 10_000
RANGE, UNSEEN = "range", "unseen_levels"


def out_of_range(least: float, greatest: float, rows: int, current: Floats) -> Outcome:
    """Sorted current values below the least or above the greatest of `rows` reference values.

    Of n + m values of one continuous distribution, the chance that the k greatest are all among the m current ones is
    m/(n+m) (m-1)/(n+m-1) ..., whatever the distribution, and ties only lower it. The p-value is twice the smaller one
    of both ends; the effect is the share of rows outside, and the statistic the greatest distance beyond an end in
    units of the range.

    >>> out_of_range(0.0, 1.0, 1_000, np.array([0.5, 0.6, 7.0, 8.0])).effect
    0.5
    """
    under = int(np.searchsorted(current, least, side="left"))
    over = len(current) - int(np.searchsorted(current, greatest, side="right"))
    p_value = min(1.0, 2 * min(_all_current(under, rows, len(current)), _all_current(over, rows, len(current))))
    beyond = max(least - float(current[0]), float(current[-1]) - greatest, 0.0)
    span = greatest - least
    with np.errstate(over="ignore"):
        distance = min(beyond / span, float(np.finfo(np.float64).max)) if span > 0 else float(beyond > 0)
    return Outcome(RANGE, distance, p_value, (under + over) / len(current))


def unseen(reference: Mapping[str, int], current: Mapping[str, int]) -> Outcome:
    """Current rows of levels that the reference does not hold.

    Each such level gets the exact probability that all of its rows are current, times the number of levels there are
    (Bonferroni); the p-value is the least. So a long tail of rare levels, of which every sample shows new ones, is no
    finding. Effect and statistic are the share of rows of unseen levels.

    >>> unseen({"a": 90, "b": 10}, {"a": 95, "c": 5}).effect
    0.05
    """
    rows, now = sum(reference.values()), sum(current.values())
    fresh = [count for level, count in current.items() if level not in reference]
    if not fresh:
        return Outcome(UNSEEN, 0.0, 1.0, 0.0)
    levels = len(reference.keys() | current.keys())
    share = sum(fresh) / now
    return Outcome(UNSEEN, share, min(1.0, levels * _all_current(max(fresh), rows, now)), share)


def _all_current(count: int, rows: int, now: int) -> float:
    """The chance that `count` values drawn from rows + now are all among the current ones.

    A product of so many factors, each the chance that one more is; of more than ten thousand the first ten thousand,
    which is no less.

    >>> round(_all_current(2, 8, 2), 12) == round(2 / 10 * 1 / 9, 12)
    True
    """
    drawn = np.arange(min(count, _FACTORS))
    return float(np.exp(np.log((now - drawn) / (rows + now - drawn)).sum()))
