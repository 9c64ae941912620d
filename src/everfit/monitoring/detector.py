"""The recursion of an e-detector (Shin, Ramdas and Rinaldo 2024): what bettors have won since any time at which a
change may have begun, added up. As long as nothing changed, the expected sum after n rows is at most n, so that the
mean number of rows until it first exceeds A is at least A."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from everfit.monitoring.columns import Floats

BLOCK = 256
_CAP = 1e250


def run(gains: Iterable[Floats], sums: Floats, bound: float) -> tuple[int | None, float, Floats]:
    """M[n] = (M[n-1] + 1) (1 + gain[n]) for each bet; the mean over all bets is the detector's own.

    `gains` are blocks (rows, ...) of what each bet wins on a row, above -1, of at most `BLOCK` rows; `sums` (...) is
    where the bets stand. Returns the first row beyond the bound, the peak, and the sums at the end; after a crossing
    they begin anew with the next block.

    >>> row, peak, _ = run([np.full((40, 1), 0.5)], np.zeros(1), 1_000.0)
    >>> row
    14
    """
    first, peak, rows = None, 0.0, 0
    for gain in gains:
        wealth = np.cumprod(1 + gain, axis=0)
        earlier = np.concatenate([np.ones((1, *sums.shape)), 1 / wealth[:-1]])
        path = np.minimum(wealth * (sums[None] + np.cumsum(earlier, axis=0)), _CAP)
        mean = path.reshape(len(path), -1).mean(axis=1)
        peak = max(peak, float(mean.max()))
        crossed = np.flatnonzero(mean >= bound)
        if len(crossed) and first is None:
            first = rows + int(crossed[0])
        sums = np.zeros_like(sums) if len(crossed) else path[-1]
        rows += len(gain)
    return first, peak, sums
