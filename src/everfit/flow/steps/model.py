"""From folds to a fitted model and its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from everfit.errors import ProjectError
from everfit.evaluation import calibration_fit, metrics
from everfit.evaluation.calibration import calibrated
from everfit.flow.steps.features import matrix
from everfit.ports import Executor
from everfit.project.sections.training import Budget, ModelChoice
from everfit.records.calibration import Calibration, Method
from everfit.records.features import Encoder
from everfit.records.model import Candidate, Problem
from everfit.records.table import Task
from everfit.training import bundle, fit, held_out, search
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
    """The candidate with the greatest mean score; the earlier in the project file where two are equal."""
    return max(candidates, key=lambda c: c.score)


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


def out_of_fold(
    best: Candidate,
    choices: tuple[ModelChoice, ...],
    folds: tuple[Fold, ...],
    problem: Problem,
    seed: int,
    executor: Executor,
) -> np.ndarray[Any, Any]:
    """The best candidate's scores of the training rows, each by a model that was not fitted on it: the validation rows
    of the folds, fold after fold."""
    choice = next(c for c in choices if c.name == best.family)
    return held_out.scores(best, choice, folds, problem.task, problem.classes, seed, executor.map)


def calibration(
    out_of_fold: np.ndarray[Any, Any],
    folds: tuple[Fold, ...],
    problem: Problem,
    calibration_method: str,
    seed: int,
) -> Calibration:
    """What makes probabilities of the scores, chosen on training rows only. Raises ProjectError for regression."""
    truth = np.concatenate([fold.y_valid for fold in folds])
    if problem.task is not Task.REGRESSION:
        return calibration_fit.choose(out_of_fold, truth, calibration_method, seed)
    if calibration_method not in ("auto", "none"):
        raise ProjectError(
            f"{calibration_method} calibrates probabilities, and {problem.target} is a number",
            where="training.calibration",
            fix="leave the setting out",
        )
    return Calibration(Method.NONE, reason="a value is predicted, no probability")


def scores(
    estimator: Path,
    trusted: tuple[str, ...],
    encoder: Encoder,
    features: pl.DataFrame,
    calibration: Calibration,
) -> np.ndarray[Any, Any]:
    """Every row scored by the model as it was written and calibrated: (rows, classes) probabilities, or (rows,)
    values."""
    model = calibrated(bundle.read_estimator(estimator, trusted), calibration)
    found: np.ndarray[Any, Any] = model.score(matrix(encoder, features))
    return found
