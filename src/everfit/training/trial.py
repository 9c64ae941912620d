"""One setting on one fold: fitted on the fold's training rows, measured on its validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.project.sections.training import ModelChoice
from everfit.records.model import Param
from everfit.records.table import Task
from everfit.training.families import Family, resolve
from everfit.training.fit import Sample, Terms, fitted
from everfit.training.growth import Growth
from everfit.training.scorers import Matrix, scorer
from everfit.training.threads import one_thread

Params = Mapping[str, Param]
Measure = Callable[[NDArray[Any], Matrix], float]


@dataclass(frozen=True, slots=True)
class Fold:
    """One cross-validation fold, encoded by an encoder fitted on its training rows only. `w_train` is empty where all
    rows count the same; `columns` are the names of the matrices' columns, `rows` the places of the validation rows
    among all training rows."""

    x_train: Matrix
    y_train: NDArray[Any]
    w_train: NDArray[np.float64]
    x_valid: Matrix
    y_valid: NDArray[Any]
    rows: NDArray[np.intp]
    columns: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Shared:
    """What every trial of a family's search needs: sent to each worker once. `measure(y, scores)` is greater for better
    and can be pickled."""

    choice: ModelChoice
    folds: tuple[Fold, ...]
    terms: Terms
    measure: Measure

    @property
    def family(self) -> Family:
        """The family of the choice, each fit in one thread."""
        return resolve(self.choice, self.terms.task, self.terms.seed)

    @property
    def rows(self) -> int:
        """All training rows."""
        return sum(len(fold.rows) for fold in self.folds)


@dataclass(frozen=True, slots=True)
class Job:
    """One setting on one fold; `stages` are numbers of rounds after which to measure it, none for the end only."""

    params: Params
    fold: int
    stages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The metric on the fold at each stage that was reached and the scores behind it, (stages, rows, classes) or
    (stages, rows); or why there are none. `seconds` is how long it took."""

    scores: tuple[float, ...]
    held_out: Matrix
    seconds: float
    error: str = ""


RunAll = Callable[[Callable[[Shared, Job], Outcome], Sequence[Job], Shared], Iterable[Outcome]]


def trial(shared: Shared, job: Job) -> Outcome:
    """Fits the setting on the fold's training rows and measures it on its validation rows.

    What the estimator raises becomes the outcome's `error`, so that one impossible setting does not end the search;
    it is counted and never taken for a score.
    """
    began = perf_counter()
    try:
        scores, held_out = _measured(shared, job)
    except Exception as error:  # noqa: BLE001  an estimator may raise anything; the error is kept and reported
        return Outcome((), np.empty(0), perf_counter() - began, f"{type(error).__name__}: {error}")
    seconds = perf_counter() - began
    if not all(map(math.isfinite, scores)):
        return Outcome((), np.empty(0), seconds, f"the metric was {next(s for s in scores if not math.isfinite(s))}")
    return Outcome(scores, held_out, seconds)


def _measured(shared: Shared, job: Job) -> tuple[tuple[float, ...], Matrix]:
    """The metric and the scores of the fold's validation rows, stage by stage."""
    fold, every = shared.folds[job.fold], shared.terms.classes
    sample, terms = Sample(fold.x_train, fold.y_train, fold.w_train, fold.columns), shared.terms
    if terms.task is Task.REGRESSION:
        widened = _as_they_are
    else:
        # A rare class may have no row in this fold; it then gets the probability 0.
        present, y = np.unique(fold.y_train, return_inverse=True)
        terms, sample = replace(terms, classes=tuple(every[i] for i in present)), replace(sample, y=y)
        widened = partial(_widened, present=present, classes=len(every))
    growth = Growth(job.stages, fold.x_valid, lambda scores: float(shared.measure(fold.y_valid, widened(scores))))
    with one_thread(openmp=True):
        if not job.stages:
            scores = widened(scorer(fitted(shared.family, job.params, terms, sample)).score(fold.x_valid))
            return (float(shared.measure(fold.y_valid, scores)),), scores[np.newaxis]
        growth.finish(fitted(shared.family, job.params, terms, sample, growth.watch))
    return tuple(growth.worth), np.stack([widened(scores) for scores in growth.found])


def _as_they_are(scores: Matrix) -> Matrix:
    return scores


def _widened(scores: Matrix, present: NDArray[np.intp], classes: int) -> Matrix:
    every = np.zeros((len(scores), classes))
    every[:, present] = scores
    return every
