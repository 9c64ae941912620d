"""Fitting one estimator, in the search and for good, by the same few lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from everfit.errors import StepFailed
from everfit.project.sections.training import ModelChoice
from everfit.records.model import Candidate
from everfit.records.table import Task
from everfit.training.families import resolve
from everfit.training.scorers import Matrix, is_xgboost, single


def fit(
    candidate: Candidate, choice: ModelChoice, x: Matrix, y: NDArray[Any], task: Task, seed: int, cores: int = 1
) -> Any:
    """The candidate's estimator fitted on all training rows; the same arguments give the same bits, on any `cores`.

    `x` is (rows, columns) float64, `y` (rows,) class indices or values. Raises StepFailed when the estimator does.
    """
    estimator = resolve(choice, task, seed, cores).build(candidate.params)
    try:
        return fitted(estimator, x, y)
    except Exception as error:
        raise StepFailed(
            f"fitting raised {type(error).__name__}: {error}",
            where=f"training.models: {choice.name}",
            fix="change its params, or leave this model out",
        ) from error


def fitted(estimator: Any, x: Matrix, y: NDArray[Any]) -> Any:
    """The estimator after fitting, set to score in one thread.

    Linear algebra runs in one thread: with several, sums are taken in another order and the last bits change with the
    machine. A forest that scores in several threads adds its trees in the order in which they finish.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        estimator.fit(single(x) if is_xgboost(estimator) else np.asarray(x, dtype=np.float64), y)
    if getattr(estimator, "n_jobs", None) is not None:
        estimator.n_jobs = 1
    return estimator
