from __future__ import annotations

import numpy as np
import pytest

from everfit.project.sections.training import ModelChoice
from everfit.records.table import Task
from everfit.training.families import resolve
from everfit.training.fit import Sample, Terms, fitted
from everfit.training.forest import Forest
from everfit.training.scorers import ProbabilityScorer, ValueScorer


@pytest.mark.parametrize("task", list(Task))
def test_the_flat_forest_equals_scikit_learn_to_the_bit(task: Task) -> None:
    random = np.random.default_rng(2)
    x = random.normal(size=(300, 4))
    signal = x[:, 0] * x[:, 1] + x[:, 2]
    y = signal if task is Task.REGRESSION else np.digitize(signal, [0.0] if task is Task.BINARY else [-0.5, 0.5])
    family = resolve(ModelChoice(name="random_forest", params={"n_estimators": 31, "max_depth": None}), task, seed=0)
    model = fitted(family, family.defaults, Terms(task, ("a", "b", "c"), 0), Sample.plain(x, y))
    expected = (ValueScorer if task is Task.REGRESSION else ProbabilityScorer)(model).score(x)
    forest = Forest.of(model)
    assert forest.score(x).tobytes() == expected.tobytes()
    singles = np.concatenate([forest.score(x[i : i + 1]) for i in range(len(x))])
    assert singles.tobytes() == expected.tobytes()


def test_values_on_a_threshold_go_the_same_way() -> None:
    random = np.random.default_rng(3)
    x = random.integers(0, 9, size=(200, 2)).astype(np.float64)
    family = resolve(ModelChoice(name="random_forest", params={"n_estimators": 9}), Task.BINARY, seed=0)
    model = fitted(
        family,
        family.defaults,
        Terms(Task.BINARY, ("a", "b"), 0),
        Sample.plain(x, (x[:, 0] > x[:, 1]).astype(np.int64)),
    )
    thresholds = np.concatenate([tree.tree_.threshold[tree.tree_.feature >= 0] for tree in model.estimators_])
    edges = np.column_stack((thresholds, np.nextafter(thresholds, np.inf)))
    assert Forest.of(model).score(edges).tobytes() == ProbabilityScorer(model).score(edges).tobytes()


def test_a_forest_of_single_leaves_scores() -> None:
    x = np.zeros((20, 1))
    family = resolve(ModelChoice(name="random_forest", params={"n_estimators": 3}), Task.REGRESSION, seed=0)
    model = fitted(family, family.defaults, Terms(Task.REGRESSION, (), 0), Sample.plain(x, np.arange(20.0)))
    assert Forest.of(model).score(x).tobytes() == ValueScorer(model).score(x).tobytes()
