"""Finding one family's best setting: random draws that race on the folds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from everfit.errors import StepFailed
from everfit.project.sections.training import Budget, ModelChoice
from everfit.records.model import Candidate, Param
from everfit.records.table import Task
from everfit.training.families import Family, resolve
from everfit.training.fit import fitted
from everfit.training.scorers import Matrix, scorer

Params = Mapping[str, Param]
Measure = Callable[[NDArray[Any], Matrix], float]


@dataclass(frozen=True, slots=True)
class Fold:
    """One cross-validation fold, encoded by an encoder fitted on its training rows only."""

    x_train: Matrix
    y_train: NDArray[Any]
    x_valid: Matrix
    y_valid: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Shared:
    """What every trial of a family's search needs: sent to each worker once."""

    choice: ModelChoice
    folds: tuple[Fold, ...]
    task: Task
    classes: int
    measure: Measure
    seed: int


@dataclass(frozen=True, slots=True)
class Job:
    """One setting on one fold."""

    params: Params
    fold: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The metric on the fold, or why there is none."""

    score: float | None
    error: str = ""


RunAll = Callable[[Callable[[Shared, Job], Outcome], Sequence[Job], Shared], Iterable[Outcome]]


def draws(family: Family, trials: int, seed: int) -> list[dict[str, Param]]:
    """Up to `trials` different settings: the family's defaults, then random points of its space.

    The draws of a family depend on its name and the seed, not on which other families compete.
    """
    space = {name: values for name, values in family.space.items() if values}
    settings = [dict(family.defaults)]
    seen = {repr(sorted(settings[0].items()))}
    for point in islice(_points(space, seed, family.name), _size(space)):
        if len(settings) == trials:
            break
        setting = {**family.defaults, **point}
        key = repr(sorted(setting.items()))
        if key not in seen:
            seen.add(key)
            settings.append(setting)
    return settings


def trial(shared: Shared, job: Job) -> Outcome:
    """Fits the setting on the fold's training rows and measures it on its validation rows.

    What the estimator raises becomes the outcome's `error`, so that one impossible setting does not end the search;
    `search` counts it and never takes it for a score.
    """
    fold = shared.folds[job.fold]
    try:
        estimator = resolve(shared.choice, shared.task, shared.seed).build(job.params)
        score = float(shared.measure(fold.y_valid, fold_scores(estimator, fold, shared.task, shared.classes)))
    except Exception as error:  # noqa: BLE001  an estimator may raise anything; the error is kept and reported
        return Outcome(None, f"{type(error).__name__}: {error}")
    return Outcome(score) if math.isfinite(score) else Outcome(None, f"the metric was {score}")


def fold_scores(estimator: Any, fold: Fold, task: Task, classes: int) -> Matrix:
    """The scores of the fold's validation rows by the estimator fitted on its training rows: (rows, classes)
    probabilities, or (rows,) values."""
    if task is Task.REGRESSION:
        return scorer(fitted(estimator, fold.x_train, fold.y_train)).score(fold.x_valid)
    # A rare class may have no row in this fold; it then gets the probability 0.
    present, y = np.unique(fold.y_train, return_inverse=True)
    found = scorer(fitted(estimator, fold.x_train, y)).score(fold.x_valid)
    scores = np.zeros((len(found), classes))
    scores[:, present] = found
    return scores


def search(
    choice: ModelChoice,
    folds: Sequence[Fold],
    task: Task,
    classes: Sequence[str],
    metric: str,
    measure: Measure,
    budget: Budget,
    seed: int,
    run_all: RunAll,
) -> Candidate:
    """The family's best setting by the mean of `measure` over the folds; the earlier draw wins a tie.

    All settings race on the first fold; the best third of them go on to the other folds (a successive halving in two
    rounds, Jamieson & Talwalkar 2016), and if none of these works on every fold, the next third. `measure(y, scores)`
    is greater for better and can be pickled; `metric` is its name for the record. `run_all(trial, jobs, shared)` gives
    the outcomes in the order of the jobs. Settings that failed on a fold are counted in `failed` and never chosen.
    Raises StepFailed when none worked on all folds.
    """
    settings = draws(resolve(choice, task, seed), budget.trials, seed)
    shared = Shared(choice, tuple(folds), task, len(classes), measure, seed)
    table, errors = _race(settings, shared, run_all)
    complete = np.isfinite(table).all(axis=1)
    if not complete.any():
        raise StepFailed(
            f"none of {len(settings)} settings could be trained and judged on all folds; first error: {errors[0]}",
            where=f"training.models: {choice.name}",
            fix="correct the model's params or the data it reads, or leave it out",
        )
    best = int(np.argmax(np.where(complete, table.mean(axis=1), -np.inf)))
    mean, spread = float(table[best].mean()), float(table[best].std())
    failed = int(np.isnan(table).any(axis=1).sum())
    return Candidate(choice.name, settings[best], metric, mean, spread, len(settings), failed)


def _race(settings: Sequence[Params], shared: Shared, run_all: RunAll) -> tuple[Matrix, list[str]]:
    """Scores by (setting, fold), NaN where the trial failed and -inf where it was not run; and the failures' errors."""
    table = np.full((len(settings), len(shared.folds)), -np.inf)
    errors: list[str] = []

    def run(which: Sequence[int], folds: Sequence[int]) -> None:
        places = [(i, fold) for i in which for fold in folds]
        jobs = [Job(settings[i], fold) for i, fold in places]
        for place, outcome in zip(places, run_all(trial, jobs, shared), strict=True):
            table[place] = np.nan if outcome.score is None else outcome.score
            errors.extend([outcome.error] if outcome.score is None else [])

    run(range(len(settings)), [0])
    left = [int(i) for i in np.argsort(-table[:, 0], kind="stable") if np.isfinite(table[i, 0])]
    size = max(3, -(-len(settings) // 3))
    while left and not np.isfinite(table).all(axis=1).any():
        run(left[:size], range(1, len(shared.folds)))
        left = left[size:]
    return table, errors


def _size(space: Mapping[str, tuple[Param, ...]]) -> int:
    return math.prod(len(values) for values in space.values())


def _points(space: Mapping[str, tuple[Param, ...]], seed: int, name: str) -> Iterable[dict[str, Param]]:
    """Random points of the product space; each point once where the space is small enough to list."""
    random = np.random.default_rng([seed, crc32(name.encode())])
    sizes = [len(values) for values in space.values()]
    if _size(space) <= 100_000:
        for number in random.permutation(_size(space)):
            at = np.unravel_index(number, sizes) if sizes else ()
            yield {n: values[int(i)] for (n, values), i in zip(space.items(), at, strict=True)}
    while True:
        yield {n: values[int(random.integers(len(values)))] for n, values in space.items()}
