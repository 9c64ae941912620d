"""From folds to a fitted model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from everfit.errors import ProjectError
from everfit.evaluation import metrics
from everfit.flow.steps.features import column_names, matrix
from everfit.ports import Executor
from everfit.project.problems import near
from everfit.project.sections.training import Budget, ClassWeight, Direction, ModelChoice
from everfit.records.features import Encoder
from everfit.records.model import Candidate, Problem
from everfit.training import bundle, fit, search
from everfit.training.fit import Sample, Terms
from everfit.training.search import Fold


def terms(
    problem: Problem,
    encoder: Encoder,
    class_weight: ClassWeight,
    monotone: dict[str, Direction],
    seed: int,
) -> Terms:
    """What all fits have in common. Raises ProjectError for a class or a feature that is not there."""
    if isinstance(class_weight, dict):
        _check_names("training.class_weight", class_weight, problem.classes, "class")
    _check_names("training.monotone", monotone, [e.name for e in encoder.numeric], "numeric feature")
    return Terms(problem.task, problem.classes, seed, class_weight, monotone)


def candidate(
    choice: ModelChoice, folds: tuple[Fold, ...], problem: Problem, terms: Terms, budget: Budget, executor: Executor
) -> Candidate:
    """One family's best setting by cross-validation; its trials run where the executor says."""
    measure = metrics.measure(problem.metric, problem.task, problem.classes)
    return search.search(choice, folds, terms, problem.metric, measure, budget, executor.map)


def best(candidates: tuple[Candidate, ...]) -> Candidate:
    """The candidate with the greatest mean score, without its trials; the earlier in the project file where two are
    equal."""
    return replace(max(candidates, key=lambda c: c.score), tried=())


def out_of_fold(
    best: Candidate,
    choices: tuple[ModelChoice, ...],
    folds: tuple[Fold, ...],
    terms: Terms,
    executor: Executor,
) -> np.ndarray[Any, Any]:
    """Every training row scored by the best candidate as fitted without it: (training rows, classes) probabilities, or
    (training rows,) values, in the order of the table."""
    choice = next(c for c in choices if c.name == best.family)
    return search.out_of_fold(best, choice, folds, terms, executor.map)


def estimator(
    best: Candidate,
    choices: tuple[ModelChoice, ...],
    encoder: Encoder,
    features: pl.DataFrame,
    truth: np.ndarray[Any, Any],
    weight: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    terms: Terms,
    cores: int,
    into: Path,
) -> Path:
    """The best candidate fitted on all training rows, as data-only files."""
    choice = next(c for c in choices if c.name == best.family)
    x = matrix(encoder, features.filter(~test))
    sample = Sample(x, truth[~test], weight[~test] if len(weight) else weight, column_names(encoder))
    bundle.write_estimator(fit.fit(best, choice, terms, sample, cores), into)
    return into


def _check_names(setting: str, given: Collection[str], known: Collection[str], what: str) -> None:
    for name in given:
        if name not in known:
            raise ProjectError(
                f"there is no {what} {name!r}{near(name, known)}",
                where=f"everfit.yaml: {setting}",
                fix=f"name one of: {', '.join(known) or 'there is none'}",
            )
