"""How far two distributions are apart, as figures: the distances that other tools report, never the alarm itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy

from everfit.monitoring.columns import Floats
from everfit.monitoring.two_sample import Position, Reference

BINS = 10
_LEAST_SHARE = 1e-4  # the usual substitute for an empty cell, without which PSI is infinite


class Distances(NamedTuple):
    """`wasserstein` in the column's own units (None for levels), `jensen_shannon` the distance to base 2, 0..1, and
    `psi` the population stability index."""

    wasserstein: float | None
    jensen_shannon: float | None
    psi: float | None


def of_numbers(ref: Reference, now: Position, current: Floats) -> Distances:
    """From the profile's grid and the sorted current values.

    Wasserstein's first distance is the area between the two distribution functions. Jensen-Shannon and PSI use ten
    cells, cut at the reference's deciles; a value that ten percent or more of the rows hold is a cut itself, and what
    lies beyond all cuts is a cell, so that neither point masses nor outliers are hidden by the cells.

    >>> from everfit.monitoring.two_sample import position, reference
    >>> ref, values = reference((0.0, 1.0), 2), np.array([2.0, 3.0])
    >>> of_numbers(ref, position(ref, values), values)
    Distances(wasserstein=2.0, jensen_shannon=1.0, psi=17.72490909071694)
    """
    cuts = np.unique(np.searchsorted(ref.fewest_to, np.arange(1, BINS) / BINS).clip(max=len(ref.values) - 1))
    then = np.diff(np.concatenate([[0.0], ref.fewest_to[cuts], [1.0]]))
    shares = np.diff(np.concatenate([[0.0], now.to[cuts], [1.0]]))
    return _of_shares(then, shares)._replace(wasserstein=_wasserstein(ref, current))


def of_levels(reference: Mapping[str, int], current: Mapping[str, int]) -> Distances:
    """From rows by level; every level is a cell.

    >>> of_levels({"a": 1}, {"a": 3}).psi
    0.0
    """
    levels = sorted(reference.keys() | current.keys())
    then, now = (np.array([side.get(level, 0) for level in levels], dtype=np.float64) for side in (reference, current))
    return _of_shares(then / then.sum(), now / now.sum())


def _wasserstein(ref: Reference, current: Floats) -> float | None:
    """The mean distance of equal quantiles, at the middle of each step of a grid of a thousand."""
    at = (np.arange(1_000) + 0.5) / 1_000
    then = ref.values[np.searchsorted(ref.fewest_to, at).clip(max=len(ref.values) - 1)]
    with np.errstate(over="ignore", invalid="ignore"):
        distance = float(np.mean(np.abs(then - current[(at * len(current)).astype(np.int64)])))
    return distance if np.isfinite(distance) else None


def _of_shares(then: Floats, now: Floats) -> Distances:
    middle = (then + now) / 2
    divergence = float((scipy.special.rel_entr(then, middle) + scipy.special.rel_entr(now, middle)).sum()) / 2
    a, b = np.maximum(then, _LEAST_SHARE), np.maximum(now, _LEAST_SHARE)
    psi = float(((b - a) * np.log(b / a)).sum())
    return Distances(None, float(np.sqrt(max(divergence, 0.0) / np.log(2))), psi)
