"""From a fitted estimator to probabilities and a threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from everfit.data import dictionary
from everfit.errors import ProjectError
from everfit.evaluation import calibration_fit
from everfit.evaluation import threshold as thresholds
from everfit.evaluation.calibration import calibrated, calibrator
from everfit.flow.steps.features import matrix
from everfit.project.sections.training import Threshold
from everfit.records.calibration import Calibration, Method, ThresholdChoice
from everfit.records.features import Encoder
from everfit.records.model import Problem
from everfit.records.table import Task
from everfit.training import bundle


def calibration(
    out_of_fold: np.ndarray[Any, Any],
    truth: np.ndarray[Any, Any],
    searched_rows: np.ndarray[Any, Any],
    problem: Problem,
    calibration_method: str,
    seed: int,
) -> Calibration:
    """What makes probabilities of the scores, chosen on the rows of the search. Raises ProjectError for regression."""
    if problem.task is not Task.REGRESSION:
        return calibration_fit.choose(out_of_fold, truth[searched_rows], calibration_method, seed)
    if calibration_method not in ("auto", "none"):
        raise ProjectError(
            f"{calibration_method} calibrates probabilities, and {problem.target} is a number",
            where="training.calibration",
            fix="leave the setting out",
        )
    return Calibration(Method.NONE, reason="a value is predicted, no probability")


def threshold(
    out_of_fold: np.ndarray[Any, Any],
    calibration: Calibration,
    truth: np.ndarray[Any, Any],
    searched_rows: np.ndarray[Any, Any],
    problem: Problem,
    threshold_rule: Threshold,
) -> ThresholdChoice:
    """The score from which the positive class is predicted, chosen on the rows of the search. Raises ProjectError where
    one is asked for and there are not two classes, StepFailed for an objective out of reach."""
    if problem.task is Task.BINARY:
        held = calibrator(calibration)(out_of_fold)[:, 1]
        return thresholds.choose(held, truth[searched_rows] == 1, threshold_rule)
    if threshold_rule != Threshold():
        raise ProjectError(
            f"a threshold needs a target of two classes, and {problem.target} is a {problem.task} target",
            where="training.threshold",
            fix="leave the setting out: of several classes the most probable one is predicted",
        )
    return ThresholdChoice(0.5, "not used")


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
    pieces = [model.score(matrix(encoder, piece)) for piece in features.iter_slices(dictionary.PIECE)]
    return np.concatenate(pieces)
