"""Contributions of models that are a sum of terms, one of each column: exact, whatever the columns have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from everfit.records.compiled import Curves, Network, Part

Floats = NDArray[np.float64]


def is_sum(part: Part) -> bool:
    """Whether the part adds one term a column before its link."""
    return isinstance(part, Curves) or (isinstance(part, Network) and len(part.layers) == 1)


def terms(part: Curves | Network, matrix: Floats, output: int) -> Floats:
    """(rows, width) what each encoded column adds to the output before the link, beyond `start`."""
    if isinstance(part, Network):
        return matrix * part.layers[0].weights[:, output]
    found = matrix * part.weights[:, output]
    for curve, column in enumerate(part.columns.tolist()):
        found[:, column] += _bent(part, curve, matrix[:, column], output)
    return found


def start(part: Curves | Network, output: int) -> float:
    """What the terms are added to."""
    return float(part.layers[0].bias[output] if isinstance(part, Network) else part.base[output])


def _bent(curves: Curves, curve: int, values: Floats, output: int) -> Floats:
    """A curve at these values; constant beyond its outer knots."""
    first, end = curves.bounds[curve : curve + 2].tolist()
    knots = curves.knots[first:end]
    values = np.clip(values, knots[0], knots[-1])
    place = np.clip(np.searchsorted(knots, values, side="right") - 1, 0, len(knots) - 2)
    u = values - knots[place]
    a, b, c, d = curves.pieces[first + place, output].T
    found: Floats = ((d * u + c) * u + b) * u + a
    return found
