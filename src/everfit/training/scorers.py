"""Fitted estimators as scorers: numbers in, float64 scores out, the same before and after they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # ships no types

from everfit.training.additive import Additive
from everfit.training.forest import Forest

Matrix = NDArray[np.float64]

_FORESTS = {"RandomForestClassifier", "RandomForestRegressor"}
_HISTOGRAMS = {"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"}
_FEW_ROWS = 16
# From so many rows on LightGBM's threads save more than they cost to start and to wait for each other.
_THREADED_ROWS = 20_000


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
class OneThreadScorer:
    """Trees on histograms, which would start a thread a core for each tree, and wait for them longer than they work."""

    inner: Scorer
    pools: ThreadpoolController

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) -> (rows, classes) probabilities, or (rows,) values."""
        with self.pools.limit(limits=1, user_api="openmp"):
            return self.inner.score(matrix)


@dataclass(frozen=True, slots=True)
class BoosterScorer:
    """An XGBoost booster, always given dense float32, as when it was trained: no 0 is taken for a missing value."""

    booster: Any
    is_classifier: bool

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) -> (rows, classes) probabilities, or (rows,) values."""
        return by_class(self.booster.inplace_predict(single(matrix)), self.is_classifier)


@dataclass(frozen=True, slots=True)
class LightGbmScorer:
    """A LightGBM booster."""

    booster: Any
    is_classifier: bool

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) -> (rows, classes) probabilities, or (rows,) values."""
        threads = 1 if len(matrix) < _THREADED_ROWS else 0
        found = self.booster.predict(np.ascontiguousarray(matrix), num_threads=threads)
        return by_class(found, self.is_classifier)


@dataclass(frozen=True, slots=True)
class CatBoostScorer:
    """A CatBoost model."""

    model: Any
    is_classifier: bool

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) -> (rows, classes) probabilities, or (rows,) values."""
        kind = "Probability" if self.is_classifier else "RawFormulaVal"
        found = self.model.predict(np.ascontiguousarray(matrix), prediction_type=kind, thread_count=1)
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class BlendScorer:
    """The weighted mean of what its members say."""

    weights: tuple[float, ...]
    members: tuple[Scorer, ...]

    def score(self, matrix: Matrix) -> Matrix:
        """(rows, columns) -> (rows, classes) probabilities, or (rows,) values."""
        return mixed(self.weights, [member.score(matrix) for member in self.members])


def mixed(weights: Sequence[float], scores: Sequence[Matrix]) -> Matrix:
    """The sum of scores times their weights, added one after the other; a weight of 0 adds nothing."""
    total = np.zeros_like(scores[0])
    for weight, one in zip(weights, scores, strict=True):
        if weight:
            total += weight * one
    return total


def by_class(found: Any, is_classifier: bool) -> Matrix:
    """What a booster says: for two classes it names the probability of the second one only."""
    raw = np.asarray(found, dtype=np.float64)
    return np.column_stack((1.0 - raw, raw)) if is_classifier and raw.ndim == 1 else raw


def single(matrix: Matrix) -> NDArray[np.float32]:
    """Dense float32 in row order, rounded once from float64."""
    return np.ascontiguousarray(matrix, dtype=np.float32)


def library(scorer: Scorer) -> Any:
    """The one object of its library that a scorer asks; None where there are several, or it is everfit's own."""
    match scorer:
        case BoosterScorer(booster=found) | LightGbmScorer(booster=found) | CatBoostScorer(model=found):
            return found
        case ForestScorer(many=inner) | OneThreadScorer(inner=inner):
            return library(inner)
        case ProbabilityScorer(estimator=found) | ValueScorer(estimator=found):
            return found
    return None


def package(estimator: Any) -> str:
    """The library that an estimator is of: `xgboost`, `lightgbm` or `catboost`, also for a class derived from theirs;
    empty for every other. None of them is imported to say so."""
    found = {base.__module__.partition(".")[0] for base in type(estimator).__mro__}
    return next((name for name in ("xgboost", "lightgbm", "catboost") if name in found), "")


def scorer(estimator: Any) -> Scorer:
    """The scorer of a fitted estimator; a classifier is what has `predict_proba`."""
    is_classifier = hasattr(estimator, "predict_proba")
    match package(estimator):
        case "xgboost":
            booster = estimator.get_booster()
            booster.set_param({"nthread": 1})  # starting threads takes longer than scoring a row
            return BoosterScorer(booster, is_classifier)
        case "lightgbm":
            return LightGbmScorer(estimator.booster_, is_classifier)
        case "catboost":
            return CatBoostScorer(estimator, is_classifier)
    if isinstance(additive := getattr(estimator, "additive_", None), Additive):
        return additive
    plain = ProbabilityScorer(estimator) if is_classifier else ValueScorer(estimator)
    kind = type(estimator)
    if kind.__module__.startswith("sklearn.") and kind.__name__ in _FORESTS:
        return ForestScorer(plain, Forest.of(estimator))
    if kind.__module__.startswith("sklearn.") and kind.__name__ in _HISTOGRAMS:
        return OneThreadScorer(plain, ThreadpoolController())
    return plain
