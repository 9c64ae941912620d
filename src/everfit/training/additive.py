"""An additive model as plain numbers: a cubic spline for some columns, a weight for the others, and their sum.

Generalized additive models, Hastie and Tibshirani (1986). The spline of a column is held as one cubic polynomial for
each stretch between two knots, so that a row needs no basis: it looks its stretch up and evaluates four coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Link = Literal["logistic", "softmax", "identity"]

_ROWS = 4_096  # a block of them stays in the processor's cache


@dataclass(frozen=True, slots=True)
class Spline:
    """A column's curve. Between `knots[i]` and `knots[i + 1]` it is, for each output k and u = x - knots[i],
    `c[0] + c[1] u + c[2] u**2 + c[3] u**3` with `c = pieces[i][k]`; beyond the outer knots it goes on as a constant."""

    column: int
    knots: tuple[float, ...]
    pieces: tuple[tuple[tuple[float, float, float, float], ...], ...]


@dataclass(frozen=True, slots=True)
class Additive:
    """`intercept` has one number an output, `weights` one row of them a column (zeros where the column has a spline).
    Outputs: one for `logistic` (the log odds of the second class) and `identity`, one a class for `softmax`."""

    link: Link
    intercept: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    splines: tuple[Spline, ...]

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) -> (rows, classes) probabilities, or (rows,) values.

        Terms are added one column after the other, so that a row's bits do not depend on the rows beside it.

        >>> Additive("identity", (1.0,), ((2.0,),), ()).score(np.array([[3.0]])).tolist()
        [7.0]
        """
        blocks = [self._block(matrix[at : at + _ROWS]) for at in range(0, max(len(matrix), 1), _ROWS)]
        return np.concatenate(blocks)

    def _block(self, matrix: Matrix) -> Matrix:
        columns = np.asarray(matrix, dtype=np.float64).T
        total = np.tile(np.array(self.intercept), (len(matrix), 1))
        for x, weights in zip(columns, self.weights, strict=True):
            if any(weights):
                total += x[:, None] * np.array(weights)
        for spline in self.splines:
            total += _curve(spline, columns[spline.column])
        return _linked(total, self.link)


def _curve(spline: Spline, x: NDArray[np.float64]) -> Matrix:
    """(rows, outputs), by Horner's rule."""
    knots, pieces = np.array(spline.knots), np.array(spline.pieces)
    inside = np.clip(x, knots[0], knots[-1])
    at = np.clip(np.searchsorted(knots, inside, side="right") - 1, 0, len(pieces) - 1)
    u, c = (inside - knots[at])[:, None], pieces[at]
    curve: Matrix = ((c[..., 3] * u + c[..., 2]) * u + c[..., 1]) * u + c[..., 0]
    return curve


def _linked(total: Matrix, link: Link) -> Matrix:
    if link == "identity":
        return total[:, 0]
    if link == "logistic":
        # The form that does not overflow: exp of a number that is never positive.
        small = np.exp(-np.abs(total[:, 0]))
        positive = np.where(total[:, 0] >= 0, 1.0 / (1.0 + small), small / (1.0 + small))
        return np.column_stack((1.0 - positive, positive))
    powers = np.exp(total - total.max(axis=1, keepdims=True))
    shares: Matrix = powers / powers.sum(axis=1, keepdims=True)
    return shares
