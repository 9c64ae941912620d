"""How much two models' scores on the same cross-validation folds differ by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def standard_error(differences: Sequence[float]) -> float:
    """The standard error of the mean of differences over k folds.

    The folds' training rows overlap, so that their differences are not independent, and the plain formula is too small:
    the variance is multiplied by 1/k + 1/(k - 1) instead of 1/k (Nadeau and Bengio 2003, the corrected resampled
    t-test). 0 for fewer than two.

    >>> round(standard_error([0.01, 0.02, 0.03]), 4)
    0.0091
    """
    k = len(differences)
    if k < 2:
        return 0.0
    return float(np.std(differences, ddof=1) * np.sqrt(1 / k + 1 / (k - 1)))


def is_better(scores: Sequence[float], others: Sequence[float]) -> bool:
    """Whether the first scores by fold are better than the others beyond noise: their mean difference is greater than
    its standard error (the one-standard-error rule of Breiman, Friedman, Olshen and Stone 1984, in pairs).

    >>> is_better([0.83, 0.82, 0.84], [0.80, 0.80, 0.80]), is_better([0.83, 0.79, 0.80], [0.80, 0.80, 0.80])
    (True, False)
    """
    differences = np.subtract(scores, others)
    return bool(differences.mean() > standard_error(differences.tolist()))
