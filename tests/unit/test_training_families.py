from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from everfit.errors import MissingExtra, ProjectError
from everfit.project.sections.training import ModelChoice, Training
from everfit.records.table import Task
from everfit.training import built_in
from everfit.training.families import competing, names, resolve
from everfit.training.fit import Sample, Terms, fitted
from everfit.training.scorers import scorer

# Few rows need leaves of few rows, and a network more passes.
QUICKER: dict[str, dict[str, int | float | None]] = {
    "lightgbm": {"min_child_samples": 5},
    "hist_gradient_boosting": {"min_samples_leaf": 5},
    "neural_network": {"epochs": 60},
}

MODULE = """
import numpy as np

class Ranker:
    def __init__(self, weight=1.0, random_state=None):
        self.weight, self.random_state = weight, random_state
    def fit(self, x, y):
        self.classes_ = np.unique(y)
        return self
    def predict_proba(self, x):
        return np.full((len(x), len(self.classes_)), 1 / len(self.classes_))

class Mute:
    def fit(self, x, y):
        return self
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "models_for_family_tests"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop(name, None)
    return name


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("task", list(Task))
def test_every_family_learns_every_task(name: str, task: Task) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(90, 3))
    signal = x[:, 0] + 0.1 * random.normal(size=90)
    cuts = {Task.BINARY: [0.0], Task.MULTICLASS: [-0.5, 0.5]}
    y = signal if task is Task.REGRESSION else np.digitize(signal, cuts[task])
    family = resolve(ModelChoice(name=name, params=QUICKER.get(name, {})), task, seed=3)
    terms = Terms(task, tuple("abc"[: len(cuts.get(task, [])) + 1]), 3)
    scores = scorer(fitted(family, family.defaults, terms, Sample.plain(x, y))).score(x)
    assert scores.dtype == np.float64
    if task is Task.REGRESSION:
        assert scores.shape == (90,)
        assert np.corrcoef(scores, y)[0, 1] > 0.8
    else:
        assert scores.shape == (90, len(cuts[task]) + 1)
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
        assert (scores.argmax(axis=1) == y).mean() > 0.8


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("task", list(Task))
def test_every_value_of_a_space_is_accepted_by_its_estimator(name: str, task: Task) -> None:
    family = resolve(ModelChoice(name=name), task, seed=3)
    known = family.build(family.defaults).get_params()
    assert set(family.space) <= set(family.defaults) <= set(known)
    for parameter, default in family.defaults.items():
        assert default in family.space.get(parameter, (default,))


@pytest.mark.parametrize("name", [name for name in names() if "logistic" not in name])
def test_the_seed_reaches_every_estimator_that_draws(name: str) -> None:
    family = resolve(ModelChoice(name=name), Task.BINARY, seed=17, cores=2)
    assert family.build({}).get_params()["random_state"] == 17


def test_fixed_params_leave_the_space() -> None:
    family = resolve(ModelChoice(name="random_forest", params={"max_depth": 3}), Task.BINARY, seed=0)
    assert family.defaults["max_depth"] == 3
    assert "max_depth" not in family.space


def test_a_space_of_ones_own_replaces_equal_names() -> None:
    family = resolve(ModelChoice(name="logistic", space={"C": (5.0,)}), Task.BINARY, seed=0)
    assert family.space == {"C": (5.0,)}


@pytest.mark.parametrize("name", ["logistik", "random_forrest", "xgbost"])
def test_a_misspelt_family_gets_a_suggestion(name: str) -> None:
    with pytest.raises(ProjectError, match=name) as caught:
        resolve(ModelChoice(name=name), Task.BINARY, seed=0)
    assert "did you mean" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("logistic", "c"),
        ("xgboost", "max_deph"),
        ("lightgbm", "num_leafs"),
        ("catboost", "dept"),
        ("neural_network", "widht"),
        ("spline_logistic", "knot"),
    ],
)
def test_a_misspelt_parameter_is_refused(name: str, wrong: str) -> None:
    with pytest.raises(ProjectError, match=wrong):
        resolve(ModelChoice(name=name, params={wrong: 1}), Task.BINARY, seed=0)


def test_lightgbm_takes_its_parameters_that_have_no_name_of_their_own() -> None:
    family = resolve(ModelChoice(name="lightgbm", params={"path_smooth": 1.0}), Task.BINARY, seed=0)
    assert family.build(family.defaults).get_params()["path_smooth"] == 1.0


def test_many_columns_take_another_solver_unless_one_is_given() -> None:
    family = resolve(ModelChoice(name="logistic"), Task.BINARY, seed=0)
    assert [family.build({}, columns).solver for columns in (40, 4000)] == ["newton-cholesky", "lbfgs"]
    assert family.build({"solver": "saga"}, 4000).solver == "saga"


def test_each_tree_of_a_forest_sees_a_part_of_very_many_rows() -> None:
    family = resolve(ModelChoice(name="random_forest"), Task.BINARY, 1)
    assert [family.build({}, 5, (), rows).max_samples for rows in (50_000, 900_000)] == [None, 100_000]
    assert family.build({"max_samples": 0.1}, 5, (), 900_000).max_samples == 0.1


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "catboost"])
def test_an_absent_package_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra) as caught:
        resolve(ModelChoice(name=name), Task.BINARY, seed=0)
    assert f'pip install "everfit[{name}]"' in caught.value.fix


def test_of_the_default_families_those_compete_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [choice.name for choice in competing(Training())]
    assert every == ["logistic", "spline_logistic", "random_forest", "gradient_boosting", "lightgbm", "xgboost"]
    monkeypatch.setattr(built_in, "find_spec", lambda name: None if name in ("lightgbm", "xgboost") else name)
    assert [choice.name for choice in competing(Training())] == every[:4]
    listed = Training.model_validate({"models": ["xgboost"]})
    assert [choice.name for choice in competing(listed)] == ["xgboost"]


def test_of_the_default_families_those_compete_that_can_be_monotone() -> None:
    training = Training.model_validate({"monotone": {"a": "increasing"}})
    assert [choice.name for choice in competing(training)] == ["random_forest", "lightgbm", "xgboost"]
    assert len(competing(Training.model_validate({"monotone": {"a": "increasing"}, "models": ["logistic"]}))) == 1


def test_blend_is_no_name_for_a_family() -> None:
    with pytest.raises(ProjectError, match="`blend`"):
        competing(Training.model_validate({"models": [{"name": "blend", "class": "sklearn.svm.SVC"}]}))


def test_a_family_of_ones_own_is_built_with_its_params_and_the_seed(module: str) -> None:
    choice = ModelChoice.model_validate({"name": "mine", "class": f"{module}.Ranker", "params": {"weight": 2.0}})
    family = resolve(choice, Task.BINARY, seed=5)
    built = family.build(family.defaults)
    assert (built.weight, built.random_state) == (2.0, 5)


@pytest.mark.parametrize(
    ("path", "task", "what"),
    [
        ("no_such_module_here.A", Task.BINARY, "could not be imported"),
        ("MODULE.Rankr", Task.BINARY, "has no 'Rankr'"),
        ("MODULE.Mute", Task.BINARY, "predict_proba"),
        ("MODULE.Ranker", Task.REGRESSION, "no predict"),
        ("Ranker", Task.BINARY, "dotted path"),
    ],
)
def test_a_wrong_class_is_refused(module: str, path: str, task: Task, what: str) -> None:
    choice = ModelChoice.model_validate({"name": "mine", "class": path.replace("MODULE", module)})
    with pytest.raises(ProjectError, match=what):
        resolve(choice, task, seed=0)
