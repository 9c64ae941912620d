"""Finding one family's best setting: random draws that race on the folds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import inf
from statistics import fmean
from time import perf_counter
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from everfit.errors import StepFailed
from everfit.project.sections.training import Budget, ModelChoice
from everfit.records.model import Candidate, Param, Trial, TrialStatus
from everfit.records.table import Task
from everfit.training.families import Family, resolve
from everfit.training.fit import Sample, Terms, fitted
from everfit.training.scorers import Matrix, scorer

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
    """What every trial of a family's search needs: sent to each worker once."""

    choice: ModelChoice
    folds: tuple[Fold, ...]
    terms: Terms
    measure: Measure


@dataclass(frozen=True, slots=True)
class Job:
    """One setting on one fold."""

    params: Params
    fold: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The metric on the fold, or why there is none; and how long the trial took."""

    score: float | None
    error: str = ""
    seconds: float = 0.0


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
    began = perf_counter()
    fold = shared.folds[job.fold]
    try:
        score = float(shared.measure(fold.y_valid, held_out(shared, job)))
    except Exception as error:  # noqa: BLE001  an estimator may raise anything; the error is kept and reported
        return Outcome(None, f"{type(error).__name__}: {error}", perf_counter() - began)
    seconds = perf_counter() - began
    return Outcome(score, "", seconds) if math.isfinite(score) else Outcome(None, f"the metric was {score}", seconds)


def search(
    choice: ModelChoice,
    folds: Sequence[Fold],
    terms: Terms,
    metric: str,
    measure: Measure,
    budget: Budget,
    run_all: RunAll,
) -> Candidate:
    """The family's best setting by the mean of `measure` over the folds; the earlier draw wins a tie.

    All settings race on the first fold; the best third of them go on to the other folds (a successive halving in two
    rounds, Jamieson & Talwalkar 2016), and if none of these works on every fold, the next third. `measure(y, scores)`
    is greater for better and can be pickled; `metric` is its name for the record. `run_all(trial, jobs, shared)` gives
    the outcomes in the order of the jobs. Settings that failed on a fold are counted in `failed` and never chosen.
    Raises StepFailed when none worked on all folds.
    """
    settings = draws(resolve(choice, terms.task, terms.seed), budget.trials, terms.seed)
    shared = Shared(choice, tuple(folds), terms, measure)
    tried = [
        _tried(choice.name, setting, found, len(folds))
        for setting, found in zip(settings, _race(settings, shared, run_all), strict=True)
    ]
    complete = [one for one in tried if one.status is TrialStatus.COMPLETE]
    failed = [one for one in tried if one.status is TrialStatus.FAILED]
    if not complete:
        raise StepFailed(
            f"none of {len(settings)} settings could be trained and judged on all folds; first error: "
            f"{failed[0].error}",
            where=f"training.models: {choice.name}",
            fix="correct the model's params or the data it reads, or leave it out",
        )
    best = max(complete, key=lambda one: one.mean)
    return Candidate(choice.name, best.params, metric, best.mean, best.std, len(settings), len(failed), tuple(tried))


def out_of_fold(
    candidate: Candidate,
    choice: ModelChoice,
    folds: Sequence[Fold],
    terms: Terms,
    run_all: Callable[[Callable[[Shared, Job], Matrix], Sequence[Job], Shared], Iterable[Matrix]],
) -> Matrix:
    """Every training row scored by the candidate fitted on the folds that do not hold it: (rows, classes)
    probabilities, or (rows,) values. Raises what the estimator raises."""
    shared = Shared(choice, tuple(folds), terms, _nothing)
    jobs = [Job(candidate.params, number) for number in range(len(folds))]
    rows = sum(len(fold.rows) for fold in folds)
    scores = np.empty(rows if terms.task is Task.REGRESSION else (rows, len(terms.classes)))
    for fold, found in zip(folds, run_all(held_out, jobs, shared), strict=True):
        scores[fold.rows] = found
    return scores


def held_out(shared: Shared, job: Job) -> Matrix:
    """The scores of a fold's validation rows by the setting fitted on its training rows."""
    fold, terms = shared.folds[job.fold], shared.terms
    family = resolve(shared.choice, terms.task, terms.seed)
    sample = Sample(fold.x_train, fold.y_train, fold.w_train, fold.columns)
    if terms.task is Task.REGRESSION:
        return scorer(fitted(family, job.params, terms, sample)).score(fold.x_valid)
    # A rare class may have no row in this fold; it then gets the probability 0.
    present, y = np.unique(fold.y_train, return_inverse=True)
    fewer = replace(terms, classes=tuple(terms.classes[i] for i in present))
    found = scorer(fitted(family, job.params, fewer, replace(sample, y=y))).score(fold.x_valid)
    scores = np.zeros((len(found), len(terms.classes)))
    scores[:, present] = found
    return scores


def _nothing(_y: NDArray[Any], _scores: Matrix) -> float:
    return 0.0


def _tried(family: str, params: Params, found: Mapping[int, Outcome], folds: int) -> Trial:
    """The trial that the outcomes by fold make up."""
    scores = tuple(one.score for _, one in sorted(found.items()) if one.score is not None)
    errors = [one.error for one in found.values() if one.score is None]
    status = TrialStatus.COMPLETE if len(scores) == folds else TrialStatus.PRUNED
    seconds = sum(one.seconds for one in found.values())
    return Trial(family, params, scores, TrialStatus.FAILED if errors else status, seconds, errors[0] if errors else "")


def _race(settings: Sequence[Params], shared: Shared, run_all: RunAll) -> list[dict[int, Outcome]]:
    """What came of each setting, by the folds on which it was tried."""
    every = len(shared.folds)
    found: list[dict[int, Outcome]] = [{} for _ in settings]

    def run(which: Sequence[int], folds: Sequence[int]) -> None:
        places = [(i, fold) for i in which for fold in folds]
        jobs = [Job(settings[i], fold) for i, fold in places]
        for (i, fold), outcome in zip(places, run_all(trial, jobs, shared), strict=True):
            found[i][fold] = outcome

    def mean(one: Mapping[int, Outcome]) -> float:
        scores = [outcome.score for outcome in one.values()]
        return fmean(score for score in scores if score is not None) if None not in scores else -inf

    run(range(len(settings)), [0])
    left = sorted((i for i, one in enumerate(found) if one[0].score is not None), key=lambda i: -mean(found[i]))
    size = max(3, -(-len(settings) // 3))
    while left and not any(len(one) == every and mean(one) > -inf for one in found):
        run(left[:size], range(1, every))
        left = left[size:]
    return found


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
