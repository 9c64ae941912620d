"""The compiled form of whatever a bundle holds, or why it has none."""

from __future__ import annotations

from typing import Any

from everfit.records.compiled import Form, Part
from everfit.training.additive import Additive
from everfit.training.flatten import additive, catboost, lightgbm, sklearn, xgboost
from everfit.training.scorers import (
    BlendScorer,
    BoosterScorer,
    CatBoostScorer,
    ForestScorer,
    LightGbmScorer,
    OneThreadScorer,
    ProbabilityScorer,
    Scorer,
    ValueScorer,
)

# Classes of the same names elsewhere may compute something else.
_PACKAGES = ("sklearn.", "everfit.training.")


def flat(scorer: Scorer, classes: int) -> Form:
    """The flat arrays of what scores; `classes` is 0 for regression. ValueError, saying why, for estimators that have
    no such form: those of the user's own, and settings that the kernel has no arithmetic for."""
    if isinstance(scorer, BlendScorer):
        return Form(tuple(map(_part, scorer.members)), tuple(scorer.weights), classes)
    return Form((_part(scorer),), (1.0,), classes)


def _part(scorer: Scorer) -> Part:
    match scorer:
        case BoosterScorer():
            return xgboost.booster(scorer.booster)
        case LightGbmScorer():
            return lightgbm.booster(scorer.booster)
        case CatBoostScorer():
            return catboost.model(scorer.model, scorer.is_classifier)
        case Additive():
            return additive.curves(scorer)
        case ForestScorer():
            return _part(scorer.many)
        case OneThreadScorer():
            return _part(scorer.inner)
        case ProbabilityScorer() | ValueScorer():
            return _estimator(scorer.estimator)
    raise ValueError(f"a {type(scorer).__name__} has no compiled form")


def _estimator(estimator: Any) -> Part:
    kind = type(estimator)
    flattener = sklearn.FLATTENERS.get(kind.__name__)
    if flattener is None or not kind.__module__.startswith(_PACKAGES):
        raise ValueError(f"{kind.__module__}.{kind.__name__} has no compiled form")
    return flattener(estimator)
