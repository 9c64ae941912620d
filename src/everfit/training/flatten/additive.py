"""Everfit's own additive models."""

from __future__ import annotations

import numpy as np

from everfit.records.compiled import Curves, Link, Part
from everfit.training.additive import Additive


def curves(model: Additive) -> Part:
    """Knots and pieces of all splines in a row; the last knot of each has no piece of its own."""
    outputs = len(model.intercept)
    counts = [len(spline.knots) for spline in model.splines]
    pieces = [np.array([*spline.pieces, np.zeros((outputs, 4))]) for spline in model.splines]
    return Curves(
        columns=np.array([spline.column for spline in model.splines], dtype=np.int64),
        bounds=np.cumsum([0, *counts]).astype(np.int64),
        knots=np.array([knot for spline in model.splines for knot in spline.knots], dtype=np.float64),
        pieces=np.concatenate(pieces) if pieces else np.zeros((0, outputs, 4)),
        weights=np.array(model.weights, dtype=np.float64),
        base=np.array(model.intercept, dtype=np.float64),
        link=Link(model.link),
    )
