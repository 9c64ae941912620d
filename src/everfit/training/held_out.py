"""Out-of-fold scores: every training row scored by a model that did not see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from everfit.project.sections.training import ModelChoice
from everfit.records.model import Candidate
from everfit.records.table import Task
from everfit.training.families import resolve
from everfit.training.scorers import Matrix
from everfit.training.search import Fold, fold_scores


@dataclass(frozen=True, slots=True)
class Shared:
    """What scoring each fold needs: sent to each worker once."""

    candidate: Candidate
    choice: ModelChoice
    folds: tuple[Fold, ...]
    task: Task
    classes: int
    seed: int


RunAll = Callable[[Callable[[Shared, int], Matrix], Sequence[int], Shared], Iterable[Matrix]]


def scores(
    candidate: Candidate,
    choice: ModelChoice,
    folds: Sequence[Fold],
    task: Task,
    classes: Sequence[str],
    seed: int,
    run_all: RunAll,
) -> Matrix:
    """(training rows, classes) probabilities or (training rows,) values: the validation rows of the first fold, then
    of the second and so on, each scored by the candidate fitted on that fold's training rows."""
    shared = Shared(candidate, choice, tuple(folds), task, len(classes), seed)
    return np.concatenate(list(run_all(one_fold, range(len(folds)), shared)))


def one_fold(shared: Shared, fold: int) -> Matrix:
    """The scores of one fold's validation rows."""
    estimator = resolve(shared.choice, shared.task, shared.seed).build(shared.candidate.params)
    return fold_scores(estimator, shared.folds[fold], shared.task, shared.classes)
