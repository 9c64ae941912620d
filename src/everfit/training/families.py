"""The model families that compete: the built-in ones and those of the user's own, ready to build estimators."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from everfit.errors import ProjectError
from everfit.project.sections.training import ModelChoice, Training
from everfit.records.model import Param
from everfit.records.table import Task
from everfit.training import built_in
from everfit.training.built_in import Space

# A matrix with more columns is wide: methods whose cost grows with the square of the columns are not for it.
_WIDE = 400
# A matrix with more rows is tall: there a part of them is enough for each tree of many.
_TALL = 200_000
# Has a parameter n_jobs that does nothing, and warns when it is set.
_WITHOUT_THREADS = {"LogisticRegression": {"n_jobs"}}
# LightGBM takes any keyword; these are the ones beyond its named ones that people use.
_LIGHTGBM = (
    "max_bin", "min_data_in_bin", "path_smooth", "extra_trees", "feature_fraction_bynode", "max_delta_step",
    "scale_pos_weight", "drop_rate", "skip_drop", "top_rate", "other_rate", "monotone_penalty", "verbose",
    "monotone_constraints", "monotone_constraints_method", "deterministic", "force_col_wise",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of estimator for one task: `defaults` are the first setting tried, `space` the values to draw from,
    `fixed` what every estimator gets whatever is drawn (the seed, the number of threads), `wide` and `tall` what is
    different on a matrix of many columns and of many rows; `monotone` is the parameter that takes -1, 0 or 1 for each
    column and `rounds` the number of rounds of boosting that the search may choose, empty where there is none;
    `strong` changes the defaults for a model that learns more from each row, the second setting tried."""

    name: str
    estimator: Callable[..., Any]
    defaults: Mapping[str, Param]
    space: Space
    fixed: Mapping[str, Param]
    wide: Mapping[str, Param] = field(default_factory=dict)
    tall: Mapping[str, Param] = field(default_factory=dict)
    monotone: str = ""
    rounds: str = ""
    strong: Mapping[str, Param] = field(default_factory=dict)

    @property
    def racing(self) -> Family:
        """The family without the number of rounds among what is searched: the folds choose it."""
        space = {name: values for name, values in self.space.items() if name != self.rounds}
        defaults = {name: value for name, value in self.defaults.items() if name != self.rounds}
        return replace(self, defaults=defaults, space=space)

    def build(self, params: Mapping[str, Param], columns: int = 0, monotone: Sequence[int] = (), rows: int = 0) -> Any:
        """A new, unfitted estimator for a matrix of that many rows and columns; `monotone` holds -1, 0 or 1 for each
        column, or nothing. Raises ProjectError when the estimator refuses the parameters."""
        shaped = {**(self.wide if columns > _WIDE else {}), **(self.tall if rows > _TALL else {})}
        settings: dict[str, Any] = {**self.fixed, **shaped, **params}
        if any(monotone):
            kind = tuple if self.name == "xgboost" else list  # it takes nothing else
            settings[self._monotone_parameter()] = kind(monotone)
        try:
            return self.estimator(**settings)
        except (TypeError, ValueError) as error:
            raise ProjectError(
                f"the estimator refused its parameters: {error}",
                where=f"training.models: {self.name}",
                fix="correct params and space of this model",
            ) from error

    def _monotone_parameter(self) -> str:
        if self.monotone:
            return self.monotone
        able = [name for name, entry in built_in.FAMILIES.items() if entry.monotone]
        raise ProjectError(
            f"{self.name} cannot keep to training.monotone",
            where=f"training.models: {self.name}",
            fix=f"remove it from training.models; these can: {', '.join(able)}",
        )


def names() -> tuple[str, ...]:
    """The built-in families."""
    return tuple(built_in.FAMILIES)


def competing(training: Training) -> tuple[ModelChoice, ...]:
    """The entries of `training.models` that compete. While nobody has named any, those of the families that are not
    installed, or cannot keep to `training.monotone`, are left out; where they were named it is an error, here or in the
    search. Raises ProjectError when none is left, MissingExtra for a package."""
    choices = training.models
    if "models" not in training.model_fields_set:
        choices = tuple(
            choice
            for choice in choices
            if built_in.is_installed(choice.name) and (built_in.entry(choice.name).monotone or not training.monotone)
        )
    taken = [choice.name for choice in choices if choice.name == "blend"]
    if taken or not choices:
        raise ProjectError(
            "`blend` is the name of the blend of all" if taken else "no family is left to compete",
            where="training.models",
            fix="give yours another name" if taken else "name one that is installed",
        )
    return choices


def modules(choices: Sequence[ModelChoice]) -> tuple[str, ...]:
    """The modules that the built-in ones among these import."""
    return tuple(dict.fromkeys(built_in.entry(c.name).module for c in choices if not c.estimator))


def resolve(choice: ModelChoice, task: Task, seed: int, cores: int = 1) -> Family:
    """The family that the project's `models` entry means for the task.

    The entry's `params` are fixed and leave the space; its `space` adds to a built-in one and replaces equal names.
    `class` names an estimator of the user's own, importable from the project's folder. Raises ProjectError for an
    unknown family, parameter or class, MissingExtra when the family's package is not installed.

    >>> resolve(ModelChoice(name="logistic"), Task.BINARY, seed=1).build({"C": 0.1}).C
    0.1
    """
    family = _own(choice, task) if choice.estimator else _built_in(choice.name, task)
    for name in (*choice.params, *choice.space):
        _check_param(name, family)
    return replace(
        family,
        defaults={**family.defaults, **choice.params},
        space={n: v for n, v in {**family.space, **choice.space}.items() if n not in choice.params},
        rounds="" if family.rounds in {*choice.params, *choice.space} else family.rounds,
        strong={n: v for n, v in family.strong.items() if n not in {*choice.params, *choice.space}},
        fixed={**_seed_and_threads(family.estimator, seed, cores), **family.fixed},
    )


def _seed_and_threads(estimator: Any, seed: int, cores: int) -> dict[str, Param]:
    known = inspect.signature(estimator).parameters
    names = set(known) - _WITHOUT_THREADS.get(estimator.__name__, set())
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        names |= {"random_state", "n_jobs"}
    settings = {"random_state": seed, "n_jobs": cores, "thread_count": cores}
    return {name: value for name, value in settings.items() if name in names}


def _built_in(name: str, task: Task) -> Family:
    entry = built_in.entry(name)
    estimator = built_in.estimator(name, task)
    defaults, space = entry.setting(task)
    family = Family(
        name, estimator, defaults, space, entry.fixed, monotone=entry.monotone, rounds=entry.rounds,
        strong=entry.strong, tall=entry.tall,
    )  # fmt: skip
    if task is Task.REGRESSION:
        return family
    return replace(family, fixed={**entry.fixed, **entry.classification}, wide=entry.wide)


def _own(choice: ModelChoice, task: Task) -> Family:
    where = f"training.models: {choice.name}: class"
    return Family(choice.name, _checked(own_estimator(choice), task, choice.estimator or "", where), {}, {}, {})


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


def _check_param(name: str, family: Family) -> None:
    accepted = _keywords(family.estimator)
    if accepted is None or name in accepted:
        return
    close = get_close_matches(name, accepted, 1)
    raise ProjectError(
        f"{getattr(family.estimator, '__name__', family.name)} has no parameter {name!r}",
        where=f"training.models: {family.name}",
        fix=f"did you mean {close[0]!r}?" if close else "the parameters are: " + ", ".join(accepted),
    )


def _keywords(estimator: Any) -> list[str] | None:
    """The accepted names, or None where the estimator takes any keyword and does not say which it knows."""
    known = inspect.signature(estimator).parameters
    if all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in known.values()):
        return list(known)
    package = estimator.__module__.partition(".")[0]
    if package not in ("xgboost", "lightgbm"):
        return None
    return sorted({*estimator().get_params(), *(_LIGHTGBM if package == "lightgbm" else ())})
