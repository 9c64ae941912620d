from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from everfit.errors import StepFailed
from everfit.project.sections.training import ClassWeight, Direction, ModelChoice
from everfit.records.model import Candidate, Param
from everfit.records.table import Task
from everfit.training.built_in import FAMILIES
from everfit.training.families import names, resolve
from everfit.training.fit import Sample, Terms, fit, fitted, threads, weights
from everfit.training.scorers import Matrix, scorer

BINARY = Terms(Task.BINARY, ("no", "yes"), 5)
MONOTONE = [name for name, entry in FAMILIES.items() if entry.monotone]
# What draws rows or columns by chance draws others when a row is there twice: without chance the two are one model.
STEADY: dict[str, dict[str, Param]] = {
    "gradient_boosting": {"subsample": 1.0, "max_features": None},
    "hist_gradient_boosting": {"max_features": 1.0, "min_samples_leaf": 1},
    "lightgbm": {"subsample": 1.0, "colsample_bytree": 1.0, "min_child_samples": 1},
    "xgboost": {"subsample": 1.0, "colsample_bytree": 1.0},
    "catboost": {"rsm": 1.0, "random_strength": 0.0},
}


def table(rows: int = 300, seed: int = 0) -> tuple[Matrix, NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    x = random.integers(0, 12, size=(rows, 3)).astype(np.float64)
    return x, (x[:, 0] + x[:, 1] * x[:, 2] / 9 + 3 * random.normal(size=rows) > 12).astype(np.int64)


def scores(name: str, sample: Sample, at: Matrix, terms: Terms = BINARY, params: Any = None) -> Matrix:
    family = resolve(ModelChoice(name=name, params=params or {}), terms.task, terms.seed)
    return scorer(fitted(family, family.defaults, terms, sample)).score(at)


@pytest.mark.parametrize("name", ["logistic", "spline_logistic", *list(STEADY)])
def test_a_weight_of_two_is_the_row_twice(name: str) -> None:
    x, y = table()
    twice = np.arange(len(y)) % 3 == 0
    weighted = replace(Sample.plain(x, y), weight=1.0 + twice)
    repeated = Sample.plain(np.vstack((x, x[twice])), np.concatenate((y, y[twice])))
    params = STEADY.get(name, {})
    one, other = (scores(name, sample, x, params=params)[:, 1] for sample in (weighted, repeated))
    assert np.corrcoef(one, other)[0, 1] > 0.98
    plain = scores(name, Sample.plain(x, y), x, params=params)[:, 1]
    assert np.abs(one - other).mean() < np.abs(plain - other).mean()


@pytest.mark.parametrize("name", names())
def test_balanced_classes_are_predicted_as_often_as_each_other(name: str) -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(600, 2))
    y = (x[:, 0] + random.normal(size=600) > 1.9).astype(np.int64)
    fresh = random.normal(size=(600, 2))
    plain, balanced = (
        scores(name, Sample.plain(x, y), fresh, replace(BINARY, class_weight=weight))[:, 1]
        for weight in (None, "balanced")
    )
    assert plain.mean() < 0.2 < balanced.mean()


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
@pytest.mark.parametrize("name", MONOTONE)
def test_a_monotone_feature_only_ever_moves_the_score_its_way(name: str, task: Task) -> None:
    random = np.random.default_rng(2)
    x = random.uniform(-1, 1, size=(400, 2))
    signal = np.sin(4 * x[:, 0]) + x[:, 1] + 0.2 * random.normal(size=400)
    y = signal if task is Task.REGRESSION else (signal > 0).astype(np.int64)
    sample = replace(Sample.plain(x, y), columns=np.array(["wave", "b"]))
    line = np.column_stack((np.linspace(-1, 1, 200), np.zeros(200)))

    def steps(direction: Direction | None) -> NDArray[np.float64]:
        terms = Terms(task, ("no", "yes"), 5, monotone={"wave": direction} if direction else {})
        found = scores(name, sample, line, terms)
        return np.diff(found if task is Task.REGRESSION else found[:, 1])

    assert steps(Direction.INCREASING).min() > -1e-9
    assert steps(Direction.DECREASING).max() < 1e-9
    assert steps(None).min() < -1e-9 < 1e-9 < steps(None).max()


@pytest.mark.parametrize("name", [name for name in names() if name not in MONOTONE])
def test_a_family_that_cannot_be_monotone_says_so_and_names_those_that_can(name: str) -> None:
    x, y = table(60)
    terms = replace(BINARY, monotone={"0": Direction.INCREASING})
    with pytest.raises(StepFailed, match=r"cannot keep to training\.monotone") as caught:
        fit(candidate(name), ModelChoice(name=name), terms, Sample.plain(x, y))
    assert name in caught.value.where


def test_several_classes_cannot_be_monotone() -> None:
    x, y = table(60)
    terms = Terms(Task.MULTICLASS, ("a", "b", "c"), 0, monotone={"0": Direction.INCREASING})
    with pytest.raises(StepFailed, match="several classes have several"):
        fit(candidate("lightgbm"), ModelChoice(name="lightgbm"), terms, Sample.plain(x, y))


@pytest.mark.parametrize(
    ("class_weight", "row_weight", "expected"),
    [
        (None, [], None),
        (None, [1.0, 2.0, 1.0, 1.0], [1.0, 2.0, 1.0, 1.0]),
        ("balanced", [], [2 / 3, 2 / 3, 2 / 3, 2.0]),
        ({"yes": 5.0}, [], [1.0, 1.0, 1.0, 5.0]),
        ({"yes": 5.0}, [1.0, 1.0, 3.0, 2.0], [1.0, 1.0, 3.0, 10.0]),
    ],
)
def test_weights_of_rows_and_of_classes_multiply(
    class_weight: ClassWeight, row_weight: list[float], expected: list[float] | None
) -> None:
    sample = replace(Sample.plain(np.zeros((4, 1)), np.array([0, 0, 0, 1])), weight=np.array(row_weight))
    found = weights(replace(BINARY, class_weight=class_weight), sample)
    assert (found if found is None else found.tolist()) == (expected if expected is None else pytest.approx(expected))


def test_balanced_row_weights_count_as_rows_do() -> None:
    sample = replace(Sample.plain(np.zeros((3, 1)), np.array([0, 0, 1])), weight=np.array([1.0, 5.0, 2.0]))
    found = weights(replace(BINARY, class_weight="balanced"), sample)
    assert found is not None
    assert found[:2].sum() == pytest.approx(found[2])


def test_an_estimator_without_weights_is_refused_where_there_are_some() -> None:
    x, y = table(60)
    choice = ModelChoice.model_validate({"name": "near", "class": "sklearn.neighbors.KNeighborsClassifier"})
    with pytest.raises(StepFailed, match="takes no sample_weight"):
        fit(candidate("near"), choice, replace(BINARY, class_weight="balanced"), Sample.plain(x, y))


def test_xgboost_takes_a_zero_for_a_zero_and_not_for_a_missing_value() -> None:
    random = np.random.default_rng(4)
    x = random.integers(0, 2, size=(400, 4)).astype(np.float64)
    y = (x.sum(axis=1) + random.normal(size=400) / 2 > 2).astype(np.int64)
    sample = Sample.plain(x, y)
    family = resolve(ModelChoice(name="xgboost"), Task.BINARY, 0)
    model = fitted(family, family.defaults, BINARY, sample)
    found = scorer(model).score(x)
    assert found.tobytes() == scorer(model).score(np.where(x == 0, -0.0, x)).tobytes()
    assert np.abs(found - scorer(model).score(np.where(x == 0, np.nan, x))).max() > 0.01


def test_threads_are_for_much_data_only() -> None:
    assert [threads(np.broadcast_to(0.0, shape), 8) for shape in ((7_000, 50), (1_000_000, 4), (1_000_000, 60))] == [
        1,
        2,
        8,
    ]


def candidate(name: str) -> Candidate:
    return Candidate(name, {}, "roc_auc", 0.0, 0.0, 1)
