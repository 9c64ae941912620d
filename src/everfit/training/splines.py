"""Linear models on splines: columns with enough different values get a curve, the others a weight.

The curve is a cubic B-spline on quantiles plus a straight line, all of it under the model's own ridge penalty. Nothing
has to be told: a column with fewer than eight values (an indicator, a level) stays linear.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline, PPoly
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LogisticRegression, Ridge

from everfit.training import chunked
from everfit.training.additive import Additive, Link, Matrix, Spline

_DEGREE = 3
_FEWEST_VALUES = 8
_FIRST = 100_000
_WIDE = 400  # from this many columns on, the Hessian costs more than many steps without it


class _Splined(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """What both have in common: the basis, and the fitted model as plain numbers in `additive_`."""

    additive_: Additive

    def _fit(self, linear: Any, knots: int, x: Matrix, y: NDArray[Any], weight: NDArray[Any] | None, link: Link) -> Any:
        basis = _Basis(x, knots)
        if basis.columns > _WIDE and hasattr(linear, "solver") and isinstance(linear, LogisticRegression):
            linear.set_params(solver="lbfgs")
        if chunked.is_for(linear, len(x) * basis.columns):
            chunked.fit(linear, x, y, weight, basis.design)
        else:
            linear.fit(basis.design(x), y, sample_weight=weight)
        self.n_features_in_ = x.shape[1]
        self.additive_ = basis.additive(np.atleast_2d(linear.coef_), np.atleast_1d(linear.intercept_), link)
        return self


class SplineLogistic(ClassifierMixin, _Splined):  # type: ignore[misc]
    """Logistic regression on splines; multinomial for several classes. `C` is the inverse of the penalty, `knots` the
    number of knots of each curve, at quantiles of the column, less where they coincide."""

    def __init__(self, C: float = 0.3, knots: int = 8) -> None:  # noqa: N803  scikit-learn's name
        self.C = C
        self.knots = knots

    def fit(self, x: Matrix, y: NDArray[Any], sample_weight: NDArray[Any] | None = None) -> SplineLogistic:
        """Fits on (rows, columns) and (rows,) classes."""
        self.classes_ = np.unique(y)
        linear = LogisticRegression(C=self.C, solver="newton-cholesky", max_iter=2000)
        self._fit(linear, self.knots, x, y, sample_weight, "logistic" if len(self.classes_) == 2 else "softmax")
        return self

    def predict_proba(self, x: Matrix) -> Matrix:
        """(rows, columns) -> (rows, classes)."""
        return self.additive_.score(x)

    def predict(self, x: Matrix) -> NDArray[Any]:
        """The most probable class of each row."""
        found: NDArray[Any] = self.classes_[self.predict_proba(x).argmax(axis=1)]
        return found


class SplineRidge(RegressorMixin, _Splined):  # type: ignore[misc]
    """Ridge regression on splines. `alpha` is the penalty, `knots` the number of knots of each curve."""

    def __init__(self, alpha: float = 1.0, knots: int = 8) -> None:
        self.alpha = alpha
        self.knots = knots

    def fit(self, x: Matrix, y: NDArray[Any], sample_weight: NDArray[Any] | None = None) -> SplineRidge:
        """Fits on (rows, columns) and (rows,) values."""
        self._fit(Ridge(alpha=self.alpha, solver="cholesky"), self.knots, x, y, sample_weight, "identity")
        return self

    def predict(self, x: Matrix) -> Matrix:
        """(rows, columns) -> (rows,)."""
        return self.additive_.score(x)


class _Basis:
    """The knots of the curves; columns as they are, then each curve's B-splines."""

    def __init__(self, x: Matrix, knots: int) -> None:
        self.width = x.shape[1]
        places = np.linspace(0, 1, knots)
        found = {
            column: np.unique(np.quantile(x[:, column], places))
            for column in range(self.width)
            if _is_varied(x[:, column])
        }
        self.knots = {column: at for column, at in found.items() if len(at) >= 3}

    @property
    def columns(self) -> int:
        """How many columns the design has."""
        curves = [len(at) + _DEGREE - 1 for at in self.knots.values()]
        return int(self.width) + sum(curves)

    def design(self, x: Matrix) -> Matrix:
        """(rows, columns + B-splines), the columns with a curve cut off at their outer knots."""
        linear = np.array(x, dtype=np.float64)
        curves = []
        for column, at in self.knots.items():
            linear[:, column] = np.clip(linear[:, column], at[0], at[-1])
            curves.append(BSpline.design_matrix(linear[:, column], _padded(at), _DEGREE).toarray())
        return np.hstack([linear, *curves])

    def additive(self, coefficients: Matrix, intercept: Matrix, link: Link) -> Additive:
        """The model that has these (outputs, design columns) coefficients, its curves as polynomials."""
        weights = coefficients[:, : self.width].T.copy()
        start, splines = self.width, []
        for column, at in self.knots.items():
            size = len(at) + _DEGREE - 1
            pieces = _pieces(at, coefficients[:, start : start + size], weights[column])
            splines.append(Spline(column, tuple(at.tolist()), pieces))
            weights[column] = 0.0
            start += size
        return Additive(link, tuple(intercept.tolist()), tuple(map(tuple, weights.tolist())), tuple(splines))


def _is_varied(values: Matrix) -> bool:
    """Whether a column has enough different values for a curve. The first rows say so of most columns, without a sort
    of all."""
    known = np.unique(values[:_FIRST])
    if len(known) < _FEWEST_VALUES and len(values) > _FIRST:
        known = np.unique(np.append(known, values[~np.isin(values, known)]))
    return len(known) >= _FEWEST_VALUES


def _padded(at: Matrix) -> Matrix:
    return np.concatenate((np.repeat(at[0], _DEGREE), at, np.repeat(at[-1], _DEGREE)))


def _pieces(at: Matrix, curves: Matrix, slopes: Matrix) -> tuple[Any, ...]:
    """By stretch and output: the coefficients of the B-spline curve plus the straight line, lowest power first."""
    every = []
    for curve, slope in zip(curves, slopes, strict=True):
        inner = PPoly.from_spline((_padded(at), curve, _DEGREE))
        powers = inner.c[::-1, _DEGREE : _DEGREE + len(at) - 1].T.copy()
        powers[:, 0] += slope * at[:-1]
        powers[:, 1] += slope
        every.append(map(tuple, powers.tolist()))
    return tuple(zip(*every, strict=True))
