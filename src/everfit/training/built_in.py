"""The built-in families, each one entry in a table: its estimators, its first setting and the space to search."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from importlib.util import find_spec
from typing import Any

from everfit.errors import MissingExtra, ProjectError
from everfit.records.model import Param
from everfit.records.table import Task

Space = Mapping[str, tuple[Param, ...]]


class Kind(StrEnum):
    """What a family's models are like, whatever the library."""

    LINEAR = "linear"
    ADDITIVE = "additive"
    FOREST = "forest"
    BOOSTING = "boosting"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Entry:
    """A family's estimators by task. `defaults` is the first setting tried, `strong` changes it for data that bears
    more; `fixed` is what every one of its estimators gets, `classification` what classifiers get besides, `wide` what
    these get instead where the matrix has many columns, `tall` what all get where it has many rows; `monotone` is the
    parameter that takes -1, 0 or 1 a column, `rounds` the number of rounds of boosting; `regression` replaces defaults
    and space where the regressor has other ones."""

    kind: Kind
    module: str
    classifier: str
    regressor: str
    defaults: Mapping[str, Param]
    space: Space
    regression: tuple[Mapping[str, Param], Space] | None = None
    fixed: Mapping[str, Param] = field(default_factory=dict)
    classification: Mapping[str, Param] = field(default_factory=dict)
    wide: Mapping[str, Param] = field(default_factory=dict)
    tall: Mapping[str, Param] = field(default_factory=dict)
    monotone: str = ""
    rounds: str = ""
    strong: Mapping[str, Param] = field(default_factory=dict)
    extra: str = ""

    def setting(self, task: Task) -> tuple[Mapping[str, Param], Space]:
        """The first setting for the task, and the space."""
        if task is Task.REGRESSION and self.regression:
            return self.regression
        return self.defaults, self.space


_ALPHAS = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
# Newton's method with a Cholesky factor takes a fifth of the time of L-BFGS while there are few columns; its cost grows
# with their square.
_NEWTON, _LBFGS = {"solver": "newton-cholesky"}, {"solver": "lbfgs"}

# The first settings are regularised ones: many small trees on a part of the rows and columns each, coarse bins.
FAMILIES: Mapping[str, Entry] = {
    "logistic": Entry(
        Kind.LINEAR,
        "sklearn.linear_model",
        "LogisticRegression",
        "Ridge",
        {"C": 1.0, "max_iter": 2000},
        {"C": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)},
        ({"alpha": 1.0}, {"alpha": _ALPHAS}),
        classification=_NEWTON,
        wide=_LBFGS,
    ),
    "spline_logistic": Entry(
        Kind.ADDITIVE,
        "everfit.training.splines",
        "SplineLogistic",
        "SplineRidge",
        {"C": 0.3, "knots": 8},
        {"C": (0.03, 0.1, 0.3, 1.0, 3.0), "knots": (5, 8, 12)},
        ({"alpha": 1.0, "knots": 8}, {"alpha": _ALPHAS, "knots": (5, 8, 12, 20)}),
    ),
    "random_forest": Entry(
        Kind.FOREST,
        "sklearn.ensemble",
        "RandomForestClassifier",
        "RandomForestRegressor",
        {"n_estimators": 100, "max_depth": 10, "min_samples_leaf": 10, "max_features": "sqrt"},
        {"max_depth": (6, 8, 10, 14), "min_samples_leaf": (3, 5, 10, 20), "max_features": ("sqrt", 0.2, 0.35)},
        (
            {"n_estimators": 100, "max_depth": 14, "min_samples_leaf": 3, "max_features": 0.35},
            {"max_depth": (8, 10, 14, 20), "min_samples_leaf": (1, 3, 5, 10), "max_features": (0.2, 0.35, 0.6)},
        ),
        tall={"max_samples": 100_000},
        monotone="monotonic_cst",
    ),
    "gradient_boosting": Entry(
        Kind.BOOSTING,
        "sklearn.ensemble",
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
        {"n_estimators": 60, "learning_rate": 0.2, "max_depth": 3, "subsample": 0.5, "max_features": 0.3,
         "min_samples_leaf": 20},
        {"n_estimators": (60, 100, 150), "learning_rate": (0.05, 0.1, 0.2), "max_depth": (2, 3, 4, 6),
         "subsample": (0.5, 0.7, 1.0), "max_features": ("sqrt", 0.3, 0.6), "min_samples_leaf": (5, 20, 50)},
        rounds="n_estimators",
        strong={"max_depth": 4, "min_samples_leaf": 5},
    ),
    "hist_gradient_boosting": Entry(
        Kind.BOOSTING,
        "sklearn.ensemble",
        "HistGradientBoostingClassifier",
        "HistGradientBoostingRegressor",
        {"max_iter": 120, "learning_rate": 0.06, "max_leaf_nodes": 7, "min_samples_leaf": 40, "l2_regularization": 5.0,
         "max_features": 0.5, "max_bins": 63},
        {"max_iter": (60, 120, 250), "learning_rate": (0.03, 0.06, 0.1), "max_leaf_nodes": (4, 7, 15, 31),
         "min_samples_leaf": (10, 20, 40, 80), "l2_regularization": (1.0, 5.0, 20.0), "max_features": (0.3, 0.5, 1.0)},
        fixed={"early_stopping": False},
        rounds="max_iter",
        strong={"max_leaf_nodes": 31, "min_samples_leaf": 20, "l2_regularization": 1.0},
        monotone="monotonic_cst",
    ),
    "lightgbm": Entry(
        Kind.BOOSTING,
        "lightgbm",
        "LGBMClassifier",
        "LGBMRegressor",
        {"n_estimators": 150, "learning_rate": 0.05, "num_leaves": 7, "min_child_samples": 40, "subsample": 0.8,
         "colsample_bytree": 0.5, "reg_lambda": 5.0, "max_bin": 63},
        {"n_estimators": (80, 150, 300), "learning_rate": (0.03, 0.05, 0.1), "num_leaves": (4, 7, 15, 31),
         "min_child_samples": (10, 20, 40, 80), "subsample": (0.6, 0.8, 1.0), "colsample_bytree": (0.3, 0.5, 0.8),
         "reg_lambda": (1.0, 5.0, 20.0)},
        rounds="n_estimators",
        strong={"num_leaves": 31, "min_child_samples": 20, "reg_lambda": 1.0},
        fixed={"subsample_freq": 1, "deterministic": True, "force_col_wise": True, "verbose": -1},
        monotone="monotone_constraints",
        extra="lightgbm",
    ),
    "xgboost": Entry(
        Kind.BOOSTING,
        "xgboost",
        "XGBClassifier",
        "XGBRegressor",
        {"n_estimators": 150, "learning_rate": 0.06, "max_depth": 3, "subsample": 0.8, "colsample_bytree": 0.5,
         "min_child_weight": 5.0, "reg_lambda": 3.0, "max_bin": 64},
        {"n_estimators": (80, 150, 300), "learning_rate": (0.03, 0.06, 0.1), "max_depth": (2, 3, 4, 6),
         "subsample": (0.6, 0.8, 1.0), "colsample_bytree": (0.3, 0.5, 0.8), "min_child_weight": (1.0, 5.0, 20.0),
         "reg_lambda": (1.0, 3.0, 10.0)},
        rounds="n_estimators",
        strong={"max_depth": 6, "min_child_weight": 1.0, "reg_lambda": 1.0},
        fixed={"tree_method": "hist"},
        monotone="monotone_constraints",
        extra="xgboost",
    ),
    "catboost": Entry(
        Kind.BOOSTING,
        "catboost",
        "CatBoostClassifier",
        "CatBoostRegressor",
        {"iterations": 200, "learning_rate": 0.06, "depth": 4, "l2_leaf_reg": 5.0, "rsm": 0.5, "subsample": 0.8,
         "border_count": 64},
        {"iterations": (100, 200, 400), "learning_rate": (0.03, 0.06, 0.1), "depth": (3, 4, 6),
         "l2_leaf_reg": (1.0, 5.0, 20.0), "rsm": (0.3, 0.5, 1.0), "subsample": (0.6, 0.8, 1.0)},
        rounds="iterations",
        strong={"depth": 6, "l2_leaf_reg": 1.0},
        fixed={"bootstrap_type": "Bernoulli", "verbose": False, "allow_writing_files": False},
        monotone="monotone_constraints",
        extra="catboost",
    ),
    "neural_network": Entry(
        Kind.NETWORK,
        "everfit.training.networks",
        "NeuralClassifier",
        "NeuralRegressor",
        {"width": 32, "depth": 1, "alpha": 0.3, "learning_rate_init": 0.003, "epochs": 20, "batch_size": 128},
        {"width": (16, 32, 64, 128), "depth": (1, 2), "alpha": (0.01, 0.1, 0.3, 1.0, 3.0),
         "learning_rate_init": (0.001, 0.003, 0.01), "epochs": (10, 20, 40, 80)},
    ),
}  # fmt: skip


def entry(name: str) -> Entry:
    """The entry of that name. ProjectError with the nearest for any other.

    >>> entry("lightgbm").extra
    'lightgbm'
    """
    if name in FAMILIES:
        return FAMILIES[name]
    close = get_close_matches(name, FAMILIES, 1)
    raise ProjectError(
        f"unknown model family {name!r}",
        where="training.models",
        fix=(f"did you mean {close[0]!r}?" if close else f"the families are: {', '.join(FAMILIES)}.")
        + " A family of your own needs `class: MODULE.CLASS`.",
    )


def is_installed(name: str) -> bool:
    """Whether the package that the family needs is there, without importing it."""
    return find_spec(entry(name).module.partition(".")[0]) is not None


def estimator(name: str, task: Task) -> type[Any]:
    """The family's class for the task. MissingExtra when its package is not installed."""
    found = entry(name)
    try:
        module = importlib.import_module(found.module)
    except ImportError as error:
        if not found.extra:
            raise
        raise MissingExtra(
            f"the package {found.module} is not installed",
            where="training.models",
            fix=f'pip install "everfit[{found.extra}]", or remove {name} from training.models',
        ) from error
    kind: type[Any] = getattr(module, found.regressor if task is Task.REGRESSION else found.classifier)
    return kind
