"""Fitting one estimator, in the search and for good, by the same few lines."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.errors import ProjectError, StepFailed
from everfit.project.sections.training import ClassWeight, Direction, ModelChoice
from everfit.records.model import Candidate, Param
from everfit.records.table import Task
from everfit.training import chunked
from everfit.training.families import Family, resolve
from everfit.training.scorers import Matrix, package, single
from everfit.training.threads import one_thread

# Below this many cells a thread costs more to start and to wait for than it saves.
_CELLS_A_THREAD = 2_000_000
_SIGNS = {Direction.INCREASING: 1, Direction.DECREASING: -1}


@dataclass(frozen=True, slots=True)
class Terms:
    """What all fits of a training run have in common. `classes` are the target's levels in the order of `y`; `monotone`
    is the direction in which the score may go with a feature."""

    task: Task
    classes: tuple[str, ...]
    seed: int
    class_weight: ClassWeight = None
    monotone: Mapping[str, Direction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows to learn from: `x` (rows, columns) float64, `y` (rows,) class indices or values, `weight` (rows,) or empty
    where all rows count the same, `columns` the (columns,) names of the columns of `x`."""

    x: Matrix
    y: NDArray[Any]
    weight: NDArray[np.float64]
    columns: NDArray[np.str_]

    @classmethod
    def plain(cls, x: Matrix, y: NDArray[Any]) -> Sample:
        """Rows that all count the same, with columns that nobody has to know by name."""
        return cls(x, y, np.empty(0), np.arange(x.shape[1]).astype(np.str_))


def fit(candidate: Candidate, choice: ModelChoice, terms: Terms, sample: Sample, cores: int = 1) -> Any:
    """The candidate's estimator fitted on all training rows; the same arguments give the same bits, on any `cores`.

    Raises StepFailed when the estimator does.
    """
    family = resolve(choice, terms.task, terms.seed, threads(sample.x, cores))
    try:
        return fitted(family, candidate.params, terms, sample)
    except Exception as error:
        raise StepFailed(
            f"fitting raised {type(error).__name__}: {error}",
            where=f"training.models: {choice.name}",
            fix="change its params, or leave this model out",
        ) from error


def threads(x: Matrix, cores: int) -> int:
    """How many threads a fit on this matrix is worth: one for every two million cells, `cores` at most.

    >>> threads(np.zeros((1000, 20)), 8)
    1
    """
    return max(1, min(cores, x.size // _CELLS_A_THREAD))


def fitted(
    family: Family,
    params: Mapping[str, Param],
    terms: Terms,
    sample: Sample,
    watch: Callable[[Any], Mapping[str, Any]] | None = None,
) -> Any:
    """The family's estimator after fitting, set to score in one thread. `watch` gets it before, and says what else
    `fit` is to be given.

    Linear algebra runs in one thread: with several, sums are taken in another order and the last bits change with the
    machine. So do scikit-learn's histograms. A forest that scores in several threads adds its trees in the order in
    which they finish.
    """
    estimator = family.build(params, sample.x.shape[1], _signs(terms, sample.columns), len(sample.x))
    x = single(sample.x) if package(estimator) == "xgboost" else np.asarray(sample.x, dtype=np.float64)
    more: dict[str, Any] = dict(watch(estimator)) if watch else {}
    if (weight := weights(terms, sample)) is not None:
        _check_weight(estimator, family.name)
        more["sample_weight"] = weight
    with one_thread(openmp=not hasattr(estimator, "n_jobs")):
        if chunked.is_for(estimator, x.size):
            chunked.fit(estimator, sample.x, sample.y, weight)
        else:
            estimator.fit(x, sample.y, **more)
    if getattr(estimator, "n_jobs", None) is not None:
        estimator.n_jobs = 1
    return estimator


def weights(terms: Terms, sample: Sample) -> NDArray[np.float64] | None:
    """What each row counts, (rows,); None where all count the same.

    `balanced`: rows / (classes * rows of the class), as if all classes had the same number of rows (King and Zeng
    2001); by name: that of the row's class, 1 for classes without one. Multiplied by the row's own weight.
    """
    own = sample.weight if len(sample.weight) else None
    if terms.class_weight is None or terms.task is Task.REGRESSION:
        return own
    y = sample.y.astype(np.int64)
    each = np.ones(len(terms.classes))
    if terms.class_weight == "balanced":
        rows = np.bincount(y, own, minlength=len(each)).astype(np.float64)
        each[rows > 0] = rows.sum() / ((rows > 0).sum() * rows[rows > 0])
    else:
        each[:] = [terms.class_weight.get(name, 1.0) for name in terms.classes]
    return each[y] if own is None else each[y] * own


def _signs(terms: Terms, columns: NDArray[np.str_]) -> tuple[int, ...]:
    """-1, 0 or 1 for each column of the matrix; empty where nothing is asked for."""
    if not terms.monotone:
        return ()
    if terms.task is Task.MULTICLASS:
        raise ProjectError(
            "training.monotone needs a score to go up or down, and several classes have several",
            where="training.monotone",
            fix="remove it, or predict one class against the others",
        )
    return tuple(_SIGNS[terms.monotone[name]] if name in terms.monotone else 0 for name in columns.tolist())


def _check_weight(estimator: Any, family: str) -> None:
    known = inspect.signature(estimator.fit).parameters
    if "sample_weight" not in known and all(p.kind is not p.VAR_KEYWORD for p in known.values()):
        raise ProjectError(
            f"{type(estimator).__name__} takes no sample_weight, so it can have no weights of rows or classes",
            where=f"training.models: {family}",
            fix="remove data.weight and training.class_weight, or this model",
        )
