"""The model families that compete, each one entry in a table; and families of the user's own."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from everfit.errors import MissingExtra, ProjectError
from everfit.project.sections.training import ModelChoice
from everfit.records.model import Param
from everfit.records.table import Task

Space = Mapping[str, tuple[Param, ...]]


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of estimator for one task: `defaults` are the first setting tried, `space` the values to draw from,
    `fixed` what every estimator gets whatever is drawn (the seed, the number of threads)."""

    name: str
    estimator: Callable[..., Any]
    defaults: Mapping[str, Param]
    space: Space
    fixed: Mapping[str, Param]

    def build(self, params: Mapping[str, Param]) -> Any:
        """A new, unfitted estimator. Raises ProjectError when the estimator refuses the parameters."""
        try:
            return self.estimator(**{**self.fixed, **params})
        except (TypeError, ValueError) as error:
            raise ProjectError(
                f"the estimator refused its parameters: {error}",
                where=f"training.models: {self.name}",
                fix="correct params and space of this model",
            ) from error


@dataclass(frozen=True, slots=True)
class _BuiltIn:
    module: str
    classifier: str
    regressor: str
    defaults: Mapping[str, Param]
    space: Space
    regression: tuple[Mapping[str, Param], Space] | None = None  # where it differs from classification


_BUILT_IN: Mapping[str, _BuiltIn] = {
    "logistic": _BuiltIn(
        "sklearn.linear_model",
        "LogisticRegression",
        "Ridge",
        {"C": 1.0, "max_iter": 2000},
        {"C": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)},
        ({"alpha": 1.0}, {"alpha": (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)}),
    ),
    "random_forest": _BuiltIn(
        "sklearn.ensemble",
        "RandomForestClassifier",
        "RandomForestRegressor",
        {"n_estimators": 100, "max_depth": 10, "min_samples_leaf": 10, "max_features": "sqrt"},
        {"max_depth": (6, 8, 10, 14), "min_samples_leaf": (3, 5, 10, 20), "max_features": ("sqrt", 0.2, 0.35)},
    ),
    "gradient_boosting": _BuiltIn(
        "sklearn.ensemble",
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
        {"n_estimators": 100, "learning_rate": 0.1, "max_depth": 3, "subsample": 0.7, "max_features": 0.3,
         "min_samples_leaf": 20},
        {"n_estimators": (60, 100, 150), "learning_rate": (0.03, 0.06, 0.1, 0.2), "max_depth": (2, 3, 4),
         "subsample": (0.5, 0.7, 1.0), "max_features": ("sqrt", 0.3)},
    ),
    "xgboost": _BuiltIn(
        "xgboost",
        "XGBClassifier",
        "XGBRegressor",
        {"tree_method": "hist", "n_estimators": 150, "learning_rate": 0.06, "max_depth": 3, "subsample": 0.8,
         "colsample_bytree": 0.5, "min_child_weight": 5.0, "reg_lambda": 3.0, "max_bin": 64},
        {"n_estimators": (80, 150, 300), "learning_rate": (0.03, 0.06, 0.1), "max_depth": (2, 3, 4, 6),
         "subsample": (0.6, 0.8, 1.0), "colsample_bytree": (0.3, 0.5, 0.8), "min_child_weight": (1.0, 5.0, 20.0),
         "reg_lambda": (1.0, 3.0, 10.0)},
    ),
}  # fmt: skip

_EXTRAS = {"xgboost": "xgboost"}
# Has a parameter n_jobs that does nothing, and warns when it is set.
_WITHOUT_THREADS = {"LogisticRegression"}


def names() -> tuple[str, ...]:
    """The built-in families."""
    return tuple(_BUILT_IN)


def resolve(choice: ModelChoice, task: Task, seed: int, cores: int = 1) -> Family:
    """The family that the project's `models` entry means for the task.

    The entry's `params` are fixed and leave the space; its `space` adds to a built-in one and replaces equal names.
    `class` names an estimator of the user's own, importable from the project's folder. Raises ProjectError for an
    unknown family, parameter or class, MissingExtra when the family's package is not installed.

    >>> resolve(ModelChoice(name="logistic"), Task.BINARY, seed=1).build({"C": 0.1}).C
    0.1
    """
    estimator, defaults, space = _own(choice, task) if choice.estimator else _built_in(choice, task)
    known = inspect.signature(estimator).parameters
    settings = {"random_state": seed, "n_jobs": cores}
    fixed: dict[str, Param] = {n: v for n, v in settings.items() if _accepts(known, n)}
    if estimator.__name__ in _WITHOUT_THREADS:
        fixed.pop("n_jobs", None)
    for name in (*choice.params, *choice.space):
        _check_param(name, known, estimator, choice.name)
    merged = {n: v for n, v in {**space, **choice.space}.items() if n not in choice.params}
    return Family(choice.name, estimator, {**defaults, **choice.params}, merged, fixed)


def _built_in(choice: ModelChoice, task: Task) -> tuple[type[Any], Mapping[str, Param], Space]:
    if choice.name not in _BUILT_IN:
        close = get_close_matches(choice.name, _BUILT_IN, 1)
        raise ProjectError(
            f"unknown model family {choice.name!r}",
            where="training.models",
            fix=(f"did you mean {close[0]!r}?" if close else f"the families are: {', '.join(_BUILT_IN)}.")
            + " A family of your own needs `class: MODULE.CLASS`.",
        )
    entry = _BUILT_IN[choice.name]
    module = _import_built_in(entry.module)
    if task is Task.REGRESSION:
        defaults, space = entry.regression or (entry.defaults, entry.space)
        return getattr(module, entry.regressor), defaults, space
    return getattr(module, entry.classifier), entry.defaults, entry.space


def _import_built_in(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if module not in _EXTRAS:
            raise
        raise MissingExtra(
            f"the package {module} is not installed",
            where="training.models",
            fix=f'pip install "everfit[{_EXTRAS[module]}]", or remove {module} from training.models',
        ) from error


def _own(choice: ModelChoice, task: Task) -> tuple[type[Any], Mapping[str, Param], Space]:
    where = f"training.models: {choice.name}: class"
    return _checked(own_estimator(choice), task, choice.estimator or "", where), {}, {}


def own_estimator(choice: ModelChoice) -> Any:
    """What the dotted path of a family of the user's own names. Raises ProjectError when nothing is there."""
    path = choice.estimator or ""
    where = f"training.models: {choice.name}: class"
    module_name, _, class_name = path.rpartition(".")
    if not module_name:
        raise ProjectError(f"{path!r} is not a dotted path", where=where, fix="write MODULE.CLASS")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ProjectError(
            f"the module {module_name!r} could not be imported: {type(error).__name__}: {error}",
            where=where,
            fix="put it into the project's folder or install it",
        ) from error
    if not hasattr(module, class_name):
        close = get_close_matches(class_name, dir(module), 1)
        raise ProjectError(
            f"the module {module_name!r} has no {class_name!r}",
            where=where,
            fix=f"did you mean {close[0]!r}?" if close else "correct the name",
        )
    return getattr(module, class_name)


def _checked(estimator: Any, task: Task, path: str, where: str) -> type[Any]:
    needed = ("fit", "predict") if task is Task.REGRESSION else ("fit", "predict_proba")
    lacking = [name for name in needed if not callable(getattr(estimator, name, None))]
    if lacking or not isinstance(estimator, type):
        raise ProjectError(
            f"{path} is not an estimator for this task: it has no {' and no '.join(lacking) or 'class'}",
            where=where,
            fix=f"write a scikit-learn compatible class with {' and '.join(needed)}",
        )
    return estimator


def _accepts(known: Mapping[str, inspect.Parameter], name: str) -> bool:
    # XGBoost's estimators name few parameters and take the rest by keyword; both of ours are among those it takes.
    return name in known or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())


def _check_param(name: str, known: Mapping[str, inspect.Parameter], estimator: Callable[..., Any], family: str) -> None:
    accepted = _keywords(known, estimator)
    if accepted is None or name in accepted:
        return
    close = get_close_matches(name, accepted, 1)
    raise ProjectError(
        f"{getattr(estimator, '__name__', family)} has no parameter {name!r}",
        where=f"training.models: {family}",
        fix=f"did you mean {close[0]!r}?" if close else "the parameters are: " + ", ".join(accepted),
    )


def _keywords(known: Mapping[str, inspect.Parameter], estimator: Any) -> list[str] | None:
    """The accepted names, or None where the estimator takes any keyword and does not say which it knows."""
    if all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in known.values()):
        return list(known)
    return sorted(estimator().get_params()) if estimator.__module__.startswith("xgboost") else None
