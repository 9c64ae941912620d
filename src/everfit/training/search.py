"""Finding one family's best setting: random draws, each judged on every fold."""

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
from everfit.project.sections import Budget, ModelChoice
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
        score = float(shared.measure(fold.y_valid, _scores(estimator, fold, shared)))
    except Exception as error:  # noqa: BLE001  an estimator may raise anything; the error is kept and reported
        return Outcome(None, f"{type(error).__name__}: {error}")
    return Outcome(score) if math.isfinite(score) else Outcome(None, f"the metric was {score}")


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

    `measure(y, scores)` is greater for better and can be pickled; `metric` is its name for the record.
    `run_all(trial, jobs, shared)` gives the outcomes in the order of the jobs. Settings that failed
    on any fold are counted in `failed` and never chosen. Raises StepFailed when all of them did.
    """
    family = resolve(choice, task, seed)
    settings = draws(family, budget.trials, seed)
    shared = Shared(choice, tuple(folds), task, len(classes), measure, seed)
    jobs = [Job(setting, fold) for setting in settings for fold in range(len(folds))]
    outcomes = list(run_all(trial, jobs, shared))
    table = np.array([np.nan if o.score is None else o.score for o in outcomes]).reshape(len(settings), len(folds))
    means = table.mean(axis=1)
    failed = int(np.isnan(means).sum())
    if failed == len(settings):
        raise StepFailed(
            f"none of {failed} settings could be trained and judged on all folds; the first error was: "
            + next(o.error for o in outcomes if o.error),
            where=f"training.models: {choice.name}",
            fix="correct the model's params or the data it reads, or leave it out",
        )
    best = int(np.nanargmax(means))
    mean, spread = float(means[best]), float(table[best].std())
    return Candidate(choice.name, settings[best], metric, mean, spread, len(settings), failed)


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


def _scores(estimator: Any, fold: Fold, shared: Shared) -> Matrix:
    if shared.task is Task.REGRESSION:
        return scorer(fitted(estimator, fold.x_train, fold.y_train)).score(fold.x_valid)
    # A rare class may have no row in this fold; it then gets the probability 0.
    present, y = np.unique(fold.y_train, return_inverse=True)
    found = scorer(fitted(estimator, fold.x_train, y)).score(fold.x_valid)
    scores = np.zeros((len(found), shared.classes))
    scores[:, present] = found
    return scores
