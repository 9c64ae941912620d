"""Folds of generated rows, and what a search on them takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.adapters.executors.serial import SerialExecutor
from everfit.project.sections.training import ModelChoice
from everfit.records.model import Candidate
from everfit.records.table import Task
from everfit.training.fit import Terms
from everfit.training.race import Searched
from everfit.training.trial import Fold, Measure, Shared

IN_TURN = SerialExecutor().map
CLASSES = ("no", "yes")
TERMS = Terms(Task.BINARY, CLASSES, 7)
LOGISTIC = ModelChoice(name="logistic")
FOREST = ModelChoice(name="random_forest", params={"n_estimators": 5})
LIGHTGBM = ModelChoice(name="lightgbm", params={"min_child_samples": 3})


def negative_log_loss(y: NDArray[Any], scores: NDArray[np.float64], floor: float = 1e-9) -> float:
    return float(np.log(np.maximum(scores[np.arange(len(y)), y], floor)).mean())


def negative_rmse(y: NDArray[Any], scores: NDArray[np.float64]) -> float:
    return -float(np.sqrt(np.square(y - scores).mean()))


def not_a_number(y: NDArray[Any], scores: NDArray[np.float64]) -> float:
    return float("nan")


MEASURE = partial(negative_log_loss, floor=1e-6)


def folds(classes: int = 2, rows: int = 80, number: int = 2) -> tuple[Fold, ...]:
    """Rows of three columns, the first of which says most about the class; one class means values."""
    random = np.random.default_rng(1)
    x = random.normal(size=(rows, 3))
    signal = x[:, 0] + random.normal(size=rows) / 2
    cuts = np.linspace(-0.5, 0.5, classes - 1) if classes > 2 else [0.0]
    y = signal if classes == 1 else np.digitize(signal, cuts).astype(np.int64)
    held = [np.arange(rows) % number == i for i in range(number)]
    columns = np.array(["a", "b", "c"])
    return tuple(Fold(x[~h], y[~h], np.empty(0), x[h], y[h], np.flatnonzero(h), columns) for h in held)


def shared(
    choice: ModelChoice = LOGISTIC, parts: Sequence[Fold] | None = None, measure: Measure = MEASURE, seed: int = 7
) -> Shared:
    return Shared(choice, tuple(folds() if parts is None else parts), replace(TERMS, seed=seed), measure)


def timeless(found: Searched) -> tuple[Candidate, bytes]:
    """The outcome of a search without what the clock says."""
    tried = tuple(replace(trial, seconds=0.0) for trial in found.candidate.tried)
    return replace(found.candidate, tried=tried), found.held_out.tobytes()
