"""Linear models on more rows than their design matrix, and a second one for its weights, have room for: the sums that
a step needs are taken over chunks of the rows.

Logistic regression begins at scikit-learn's own fit of some rows and goes on over all of them: by Newton's method for
two classes, by L-BFGS for several. Ridge regression is one pass over the normal equations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Design = Callable[[Matrix], Matrix]

# Cells of the design matrix from which it is no longer made as a whole: .8 GB, and as much again in each step.
CELLS = 100_000_000
_ROWS = 1 << 16
_START = 200_000  # rows that the first fit reads
_STEPS = 25
_HALVINGS = 30
# The largest slope that is left, as a share of the rows' weight; scikit-learn stops at 1e-4.
_TOLERANCE = 1e-7


def is_for(estimator: Any, cells: int) -> bool:
    """Whether it is to be fitted so: scikit-learn's LogisticRegression or Ridge with an intercept and a plain penalty,
    on a design of that many cells."""
    if cells <= CELLS or type(estimator) not in (LogisticRegression, Ridge) or not estimator.fit_intercept:
        return False
    if isinstance(estimator, Ridge):
        return not estimator.positive
    return estimator.solver in ("newton-cholesky", "lbfgs") and estimator.class_weight is None


def fit(linear: Any, x: Matrix, y: NDArray[Any], weight: Vector | None, design: Design = np.asarray) -> Any:
    """Fits one that `is_for` names to the rows `design(x)`, (rows, columns) for (rows, inputs)."""
    rows = _Rows(x, y, weight, design, design(x[:1]).shape[1])
    some = rows.some()
    linear.fit(design(x[some]), y[some], sample_weight=None if weight is None else weight[some])
    if isinstance(linear, Ridge):
        linear.coef_, linear.intercept_ = _ridge(rows, linear.alpha)
    elif len(linear.classes_) == 2:
        found = _newton(rows.coded(linear.classes_), linear.C, np.append(linear.coef_[0], linear.intercept_))
        linear.coef_, linear.intercept_ = found[None, :-1], found[-1:]
    else:
        found = _descent(rows.coded(linear.classes_), linear.C, np.column_stack((linear.coef_, linear.intercept_)))
        linear.coef_, linear.intercept_ = found[:, :-1].copy(), found[:, -1].copy()
    return linear


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a fit, a chunk at a time: the design with a column of ones behind it, the target and the weights."""

    x: Matrix
    y: NDArray[Any]
    weight: Vector | None
    design: Design
    width: int

    def __iter__(self) -> Iterator[tuple[Matrix, NDArray[Any], Vector]]:
        """The chunks, in the order of the rows."""
        for start in range(0, len(self.x), _ROWS):
            part = slice(start, start + _ROWS)
            columns = self.design(self.x[part])
            weight = np.ones(len(columns)) if self.weight is None else self.weight[part]
            yield np.column_stack((columns, np.ones(len(columns)))), self.y[part], weight

    def some(self) -> NDArray[np.intp]:
        """Rows spread over all of them, and one of each value of a target of few values: of each class."""
        spread = np.linspace(0, len(self.x) - 1, min(_START, len(self.x))).astype(np.intp)
        _, first = np.unique(self.y, return_index=True)
        return np.union1d(spread, first) if len(first) < _START else spread

    @property
    def total(self) -> float:
        """What all rows count together."""
        return float(len(self.x) if self.weight is None else self.weight.sum())

    def coded(self, classes: NDArray[Any]) -> _Rows:
        """The same with the place of each row's class as its target."""
        return _Rows(self.x, np.searchsorted(classes, self.y), self.weight, self.design, self.width)


def _newton(rows: _Rows, c: float, start: Vector) -> Vector:
    """(columns + 1,) the weights and the intercept of a logistic regression of two classes, with a penalty of
    |weights|**2 / (2 c). A step that does not make the loss smaller is halved."""
    at, (loss, slope, curve) = start, _two_classes(rows, c, start)
    for _ in range(_STEPS):
        if np.abs(slope).max() <= _TOLERANCE * rows.total:
            break
        step = scipy.linalg.solve(curve, slope, assume_a="pos")
        for _ in range(_HALVINGS):
            after = _two_classes(rows, c, at - step)
            if after[0] <= loss:
                break
            step = step / 2
        else:
            break  # no smaller loss can be told from rounding
        at, (loss, slope, curve) = at - step, after
    return at


def _two_classes(rows: _Rows, c: float, at: Vector) -> tuple[float, Vector, Matrix]:
    """The penalised loss, its slope and its curvature."""
    penalty = np.append(np.full(rows.width, 1 / c), 0.0)
    loss, slope, curve = float(penalty @ at**2) / 2, penalty * at, np.diag(penalty)
    for columns, y, weight in rows:
        z = columns @ at
        chance = scipy.special.expit(z)
        loss += float(weight @ (np.logaddexp(0.0, z) - y * z))
        slope = slope + columns.T @ (weight * (chance - y))
        scaled = columns * np.sqrt(weight * chance * (1 - chance))[:, None]
        curve = curve + scaled.T @ scaled
    return loss, slope, curve


def _descent(rows: _Rows, c: float, start: Matrix) -> Matrix:
    """(classes, columns + 1) the same of several classes."""
    total = rows.total

    def mean(flat: Vector) -> tuple[float, Vector]:
        at = flat.reshape(start.shape)
        penalised = at.copy()
        penalised[:, -1] = 0.0
        loss, slope = float((penalised**2).sum()) / (2 * c), penalised / c
        for columns, y, weight in rows:
            z = columns @ at.T
            log = scipy.special.log_softmax(z, axis=1)
            loss -= float(weight @ log[np.arange(len(y)), y])
            over = np.exp(log)
            over[np.arange(len(y)), y] -= 1.0
            slope = slope + (over * weight[:, None]).T @ columns
        return loss / total, slope.ravel() / total

    found = scipy.optimize.minimize(
        mean, start.ravel(), jac=True, method="L-BFGS-B", options={"gtol": 1e-5, "ftol": 1e-10, "maxiter": 100}
    )
    at: Matrix = found.x.reshape(start.shape)
    return at


def _ridge(rows: _Rows, alpha: float) -> tuple[Vector, float]:
    """The weights (columns,) and the intercept, by the normal equations of the centred columns."""
    products = np.zeros((rows.width + 1, rows.width + 1))
    targets = np.zeros(rows.width + 1)
    for columns, y, weight in rows:
        scaled = columns * np.sqrt(weight)[:, None]
        products += scaled.T @ scaled
        targets += columns.T @ (weight * y)
    total, sums, mean = products[-1, -1], products[-1, :-1], targets[-1] / products[-1, -1]
    inner = products[:-1, :-1] - np.outer(sums, sums) / total + alpha * np.eye(rows.width)
    found: Vector = scipy.linalg.solve(inner, targets[:-1] - sums * mean, assume_a="pos")
    return found, float(mean - sums @ found / total)
