"""Hard failures: a version that fails so many of its requests that nothing is left to compare."""

from __future__ import annotations

import numpy as np

from everfit.rollout import betting
from everfit.rollout.betting import Contrasts

_FAILED = np.array([0.0, 1.0])


def is_burst(failures: int, requests: int, limit: float, alpha: float) -> bool:
    """Whether it is shown that the share of failures is above `limit`. However often one looks, a version that fails
    no more is called so with a chance of at most `alpha`. A failed batch counts as one failure of one request.

    >>> is_burst(6, 6, 0.2, 0.05), is_burst(2, 6, 0.2, 0.05)
    (True, False)
    """
    if not requests or failures <= limit * requests:
        return False
    bets = betting.spread()
    seen = Contrasts(_FAILED, np.array([requests - failures, failures], dtype=np.float64), 0.0, 1.0)
    return bool(betting.mixed([betting.log_wealth(seen, limit, bets)], bets) >= -np.log(max(alpha, 1e-12)))
