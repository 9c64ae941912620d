"""Fitted estimators of every built-in family, and their compiled forms."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.project.sections.training import ModelChoice
from everfit.records.compiled import Form
from everfit.records.model import Param
from everfit.records.table import Task
from everfit.training.built_in import FAMILIES as BUILT_IN
from everfit.training.families import resolve
from everfit.training.fit import Sample, Terms, fitted
from everfit.training.flatten.form import flat
from everfit.training.scorers import Scorer, scorer

# Trees enough to fill a group and begin another.
_SMALL: dict[str, dict[str, Param]] = {
    "random_forest": {"n_estimators": 11},
    "gradient_boosting": {"n_estimators": 11},
    "hist_gradient_boosting": {"max_iter": 11},
    "lightgbm": {"n_estimators": 11},
    "xgboost": {"n_estimators": 11},
    "catboost": {"iterations": 11},
    "neural_network": {"epochs": 3, "depth": 2},
}
FAMILIES = tuple(BUILT_IN)
TREES = tuple(name for name in _SMALL if name != "neural_network")
RANDOM = np.random.default_rng(11)
X: NDArray[np.float64] = np.column_stack(
    (RANDOM.normal(size=(400, 3)), RANDOM.integers(0, 2, (400, 2)), RANDOM.integers(0, 9, 400) / 8)
)
SIGNAL = X[:, 0] + X[:, 1] * X[:, 2] + X[:, 3]


def target(task: Task) -> NDArray[Any]:
    """Values or class indices for the rows of X."""
    return SIGNAL if task is Task.REGRESSION else np.digitize(SIGNAL, [0.4] if task is Task.BINARY else [-0.2, 1.0])


def classes(task: Task) -> int:
    """How many classes the task has here; 0 for regression."""
    return {Task.REGRESSION: 0, Task.BINARY: 2, Task.MULTICLASS: 3}[task]


@lru_cache
def library(family: str, task: Task) -> Scorer:
    """The library's own predictor, small and fitted on X."""
    found = resolve(ModelChoice(name=family, params=_SMALL.get(family, {})), task, seed=1)
    terms = Terms(task, tuple("abc"[: classes(task)]), 1)
    return scorer(fitted(found, found.defaults, terms, Sample.plain(X, target(task))))


@lru_cache
def form(family: str, task: Task) -> Form:
    """Its flat arrays."""
    return flat(library(family, task), classes(task))
