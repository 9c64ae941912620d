"""Additive models as JSON, `additive.json`: knots, coefficients and weights, every number with all its digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from everfit.errors import StorageError
from everfit.records import codec
from everfit.training.additive import Additive

FILE = "additive.json"


def write(estimator: Any, path: Path) -> None:
    """Writes the fitted estimator's `additive_`."""
    path.write_bytes(codec.encode(estimator.additive_))


def read(path: Path) -> Additive:
    """The model, ready to score. StorageError for a file that is none."""
    found = codec.decode(Additive, path.read_bytes(), where=str(path))
    outputs = len(found.intercept)
    sound = all(len(row) == outputs for row in found.weights) and all(
        0 <= spline.column < len(found.weights)
        and len(spline.knots) == len(spline.pieces) + 1
        and list(spline.knots) == sorted(set(spline.knots))
        and all(len(piece) == outputs for piece in spline.pieces)
        for spline in found.splines
    )
    if not sound:
        raise StorageError("its columns, knots and coefficients do not fit", where=str(path), fix="restore the bundle")
    return found
