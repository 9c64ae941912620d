"""From folds to a fitted model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from everfit.evaluation import metrics
from everfit.flow.steps.features import matrix
from everfit.ports import Executor
from everfit.project.sections.training import Budget, ModelChoice
from everfit.records.features import Encoder
from everfit.records.model import Candidate, Problem
from everfit.training import bundle, fit, search
from everfit.training.search import Fold


def candidate(
    choice: ModelChoice, folds: tuple[Fold, ...], problem: Problem, budget: Budget, seed: int, executor: Executor
) -> Candidate:
    """One family's best setting by cross-validation; its trials run where the executor says."""
    measure = metrics.measure(problem.metric, problem.task, problem.classes)
    return search.search(
        choice, folds, problem.task, problem.classes, problem.metric, measure, budget, seed, executor.map
    )


def best(candidates: tuple[Candidate, ...]) -> Candidate:
    """The candidate with the greatest mean score, without its trials; the earlier in the project file where two are
    equal."""
    return replace(max(candidates, key=lambda c: c.score), tried=())


def out_of_fold(
    best: Candidate,
    choices: tuple[ModelChoice, ...],
    folds: tuple[Fold, ...],
    problem: Problem,
    seed: int,
    executor: Executor,
) -> np.ndarray[Any, Any]:
    """Every training row scored by the best candidate as fitted without it: (training rows, classes) probabilities, or
    (training rows,) values, in the order of the table."""
    choice = next(c for c in choices if c.name == best.family)
    return search.out_of_fold(best, choice, folds, problem.task, problem.classes, seed, executor.map)


def estimator(
    best: Candidate,
    choices: tuple[ModelChoice, ...],
    encoder: Encoder,
    features: pl.DataFrame,
    truth: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    problem: Problem,
    seed: int,
    cores: int,
    into: Path,
) -> Path:
    """The best candidate fitted on all training rows, as data-only files."""
    choice = next(c for c in choices if c.name == best.family)
    x = matrix(encoder, features.filter(~test))
    fitted = fit.fit(best, choice, x, truth[~test], problem.task, seed, cores)
    bundle.write_estimator(fitted, into)
    return into
