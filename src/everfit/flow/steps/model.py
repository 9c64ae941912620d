"""From folds to a fitted model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from everfit.errors import ProjectError
from everfit.evaluation import metrics
from everfit.flow.steps.features import column_names, matrix
from everfit.ports import Executor, Progress
from everfit.project.problems import near
from everfit.project.sections.training import ClassWeight, Direction, ModelChoice
from everfit.records.features import Encoder
from everfit.records.model import Candidate, Problem
from everfit.training import blend, built_in, bundle, fit, race, search, selection
from everfit.training.fit import Sample, Terms
from everfit.training.race import Searched
from everfit.training.trial import Fold, Shared


def terms(
    problem: Problem,
    encoder: Encoder,
    class_weight: ClassWeight,
    monotone: dict[str, Direction],
    seed: int,
) -> Terms:
    """What all fits have in common. Raises ProjectError for a class or a feature that is not there."""
    if isinstance(class_weight, dict):
        _check_names("training.class_weight", class_weight, problem.classes, "class")
    _check_names("training.monotone", monotone, [e.name for e in encoder.numeric], "numeric feature")
    return Terms(problem.task, problem.classes, seed, class_weight, monotone)


def first(
    choice: ModelChoice,
    folds: tuple[Fold, ...],
    problem: Problem,
    terms: Terms,
    executor: Executor,
) -> Searched:
    """One family's first setting on every fold; its trials run where the executor says."""
    return race.first(_shared(choice, folds, problem, terms), problem.metric, executor.map)


def going(firsts: tuple[Searched, ...]) -> tuple[str, ...]:
    """The families that are worth a search after their first setting."""
    kinds = {name: entry.kind for name, entry in built_in.FAMILIES.items()}
    return selection.going([one.candidate for one in firsts], kinds)


def granted(choice: ModelChoice, going: tuple[str, ...], trials: int) -> int:
    """How many settings this family may try. A step of its own, so that a family that is added or left out changes
    nothing for the others unless they stand otherwise."""
    return trials if choice.name in going else 1


def tuned(
    choice: ModelChoice,
    first: Searched,
    granted: int,
    folds: tuple[Fold, ...],
    problem: Problem,
    terms: Terms,
    seconds: float | None,
    executor: Executor,
    progress: Progress,
) -> Searched:
    """One family's search by a race of settings after its first one."""
    shared = _shared(choice, folds, problem, terms)
    return race.tune(shared, first, granted, seconds, executor.map, progress.note)


def drawn(
    choice: ModelChoice,
    folds: tuple[Fold, ...],
    problem: Problem,
    terms: Terms,
    trials: int,
    executor: Executor,
    progress: Progress,
) -> Searched:
    """One family's search by random draws, all of them on all folds."""
    shared = _shared(choice, folds, problem, terms)
    return search.search(shared, problem.metric, trials, executor.map, progress.note)


def blended(searched: tuple[Searched, ...], folds: tuple[Fold, ...], problem: Problem) -> tuple[Searched, ...]:
    """The blend of the families' best settings; nothing where there is none."""
    found = blend.blend(searched, folds, metrics.measure(problem.metric, problem.task, problem.classes))
    return (found,) if found else ()


def candidates(searched: tuple[Searched, ...], blended: tuple[Searched, ...]) -> tuple[Candidate, ...]:
    """What every family's search came to, in the order of the project file, and the blend."""
    return tuple(one.candidate for one in (*searched, *blended))


def best(candidates: tuple[Candidate, ...], select: str) -> Candidate:
    """The candidate that is trained for good, without its trials."""
    return replace(selection.select(candidates, select == "simplest"), tried=())


def out_of_fold(best: Candidate, searched: tuple[Searched, ...], blended: tuple[Searched, ...]) -> np.ndarray[Any, Any]:
    """Every row of the search scored by the best candidate as fitted without it: (rows, classes) probabilities, or
    (rows,) values, in the order of the table."""
    return next(one.held_out for one in (*searched, *blended) if one.candidate.family == best.family)


def estimator(
    best: Candidate,
    choices: tuple[ModelChoice, ...],
    encoder: Encoder,
    features: pl.DataFrame,
    truth: np.ndarray[Any, Any],
    weight: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    terms: Terms,
    cores: int,
    into: Path,
) -> Path:
    """The best candidate, or each member of a blend, fitted on all training rows, as data-only files."""
    x = matrix(encoder, features, ~test)
    sample = Sample(x, truth[~test], weight[~test] if len(weight) else weight, column_names(encoder))
    by_name = {choice.name: choice for choice in choices}
    if not best.members:
        bundle.write_estimator(fit.fit(best, by_name[best.family], terms, sample, cores), into)
        return into
    for member in best.members:
        own = replace(best, family=member.family, params=member.params, members=())
        bundle.write_member(fit.fit(own, by_name[member.family], terms, sample, cores), member, into)
    bundle.write_blend(best.members, into)
    return into


def _shared(choice: ModelChoice, folds: tuple[Fold, ...], problem: Problem, terms: Terms) -> Shared:
    return Shared(choice, folds, terms, metrics.measure(problem.metric, problem.task, problem.classes))


def _check_names(setting: str, given: Collection[str], known: Collection[str], what: str) -> None:
    for name in given:
        if name not in known:
            raise ProjectError(
                f"there is no {what} {name!r}{near(name, known)}",
                where=f"everfit.yaml: {setting}",
                fix=f"name one of: {', '.join(known) or 'there is none'}",
            )
