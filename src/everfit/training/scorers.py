"""Fitted estimators as scorers: numbers in, float64 scores out, the same before and after they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from everfit.training.forest import Forest

Matrix = NDArray[np.float64]

_FORESTS = {"RandomForestClassifier", "RandomForestRegressor"}
_FEW_ROWS = 16


class Scorer(Protocol):
    """What a bundle's estimator does."""

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) -> (rows, classes) probabilities, or (rows,) values for regression."""
        ...


@dataclass(frozen=True, slots=True)
class ProbabilityScorer:
    """A classifier of scikit-learn's kind."""

    estimator: Any

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) -> (rows, classes) probabilities."""
        return np.asarray(self.estimator.predict_proba(matrix), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class ValueScorer:
    """A regressor of scikit-learn's kind."""

    estimator: Any

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) -> (rows,) values."""
        return np.asarray(self.estimator.predict(matrix), dtype=np.float64).reshape(len(matrix))


@dataclass(frozen=True, slots=True)
class ForestScorer:
    """A random forest: few rows go through all trees at once, many rows through scikit-learn; the bits are the same."""

    many: Scorer
    few: Forest

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) without NaN -> (rows, classes) probabilities, or (rows,) values."""
        return self.few.score(matrix) if len(matrix) <= _FEW_ROWS else self.many.score(matrix)


@dataclass(frozen=True, slots=True)
class BoosterScorer:
    """An XGBoost booster, always given dense float32, as when it was trained."""

    booster: Any
    is_classifier: bool

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) -> (rows, classes) probabilities, or (rows,) values."""
        raw = np.asarray(self.booster.inplace_predict(single(matrix)), dtype=np.float64)
        if self.is_classifier and raw.ndim == 1:
            return np.column_stack((1.0 - raw, raw))
        return raw


def single(matrix: Matrix) -> NDArray[np.float32]:
    """Dense float32 in row order, rounded once from float64."""
    return np.ascontiguousarray(matrix, dtype=np.float32)


def is_xgboost(estimator: Any) -> bool:
    """Whether it is one of XGBoost's estimators, without importing XGBoost for others."""
    return any(base.__module__.partition(".")[0] == "xgboost" for base in type(estimator).__mro__)


def scorer(estimator: Any) -> Scorer:
    """The scorer of a fitted estimator; a classifier is what has `predict_proba`."""
    if is_xgboost(estimator):
        booster = estimator.get_booster()
        booster.set_param({"nthread": 1})  # starting threads takes longer than scoring a row
        return BoosterScorer(booster, hasattr(estimator, "predict_proba"))
    plain = ProbabilityScorer(estimator) if hasattr(estimator, "predict_proba") else ValueScorer(estimator)
    if type(estimator).__name__ in _FORESTS and type(estimator).__module__.startswith("sklearn."):
        return ForestScorer(plain, Forest.of(estimator))
    return plain
