import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from everfit.errors import ProjectError, StepFailed
from everfit.evaluation.metric_names import higher_is_better
from everfit.evaluation.metrics import (
    Floats,
    area_under_roc,
    default_metric,
    measure,
    metrics,
    names,
    predicted,
)
from everfit.records.table import Task

CLASSES = ("a", "b", "c")


def probabilities(rows: int, classes: int, seed: int = 0) -> Floats:
    raw = np.random.default_rng(seed).gamma(1.0, size=(rows, classes))
    return np.asarray(raw / raw.sum(axis=1, keepdims=True), dtype=np.float64)


def test_binary_metrics_equal_those_of_scikit_learn() -> None:
    scores = probabilities(400, 2).round(2)
    y = (np.random.default_rng(1).random(400) < scores[:, 1]).astype(np.int64)
    labels = (scores[:, 1] >= 0.3).astype(np.int64)
    found = metrics(Task.BINARY, y, scores, ("no", "yes"), threshold=0.3)
    expected = {
        "accuracy": sk.accuracy_score(y, labels),
        "precision": sk.precision_score(y, labels),
        "recall": sk.recall_score(y, labels),
        "f1": sk.f1_score(y, labels),
        "precision_macro": sk.precision_score(y, labels, average="macro"),
        "recall_weighted": sk.recall_score(y, labels, average="weighted"),
        "f1_macro": sk.f1_score(y, labels, average="macro"),
        "f1_weighted": sk.f1_score(y, labels, average="weighted"),
        "roc_auc": sk.roc_auc_score(y, scores[:, 1]),
        "log_loss": sk.log_loss(y, scores),
        "brier": sk.brier_score_loss(y, scores[:, 1]),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_multiclass_metrics_equal_those_of_scikit_learn() -> None:
    scores = probabilities(300, 3)
    y = np.random.default_rng(2).integers(0, 3, 300)
    labels = scores.argmax(axis=1)
    found = metrics(Task.MULTICLASS, y, scores, CLASSES)
    expected = {
        "f1": sk.f1_score(y, labels, average="weighted"),
        "precision_macro": sk.precision_score(y, labels, average="macro"),
        "roc_auc": sk.roc_auc_score(y, scores, multi_class="ovr", average="macro"),
        "log_loss": sk.log_loss(y, scores),
        "brier": sk.brier_score_loss(y, scores, scale_by_half=False),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_regression_metrics_equal_those_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    y = random.normal(size=50)
    scores = y + random.normal(size=50)
    found = metrics(Task.REGRESSION, y, scores, ())
    assert found == pytest.approx(
        {
            "r2": sk.r2_score(y, scores),
            "rmse": sk.root_mean_squared_error(y, scores),
            "mae": sk.mean_absolute_error(y, scores),
        }
    )


def test_every_named_metric_is_found_on_ordinary_rows() -> None:
    y = np.array([0, 1, 2, 0])
    assert tuple(metrics(Task.MULTICLASS, y, probabilities(4, 3), CLASSES)) == names(Task.MULTICLASS)


def test_a_test_set_of_one_class_leaves_undefined_metrics_out() -> None:
    found = metrics(Task.BINARY, np.zeros(3, dtype=np.int64), probabilities(3, 2), ("no", "yes"))
    assert {"roc_auc", "precision", "recall", "f1"}.isdisjoint(found)
    assert {"accuracy", "f1_macro", "log_loss", "brier"} <= found.keys()


def test_one_vs_rest_is_the_mean_over_the_classes_that_occur() -> None:
    y, scores = np.array([0, 0, 1, 1]), probabilities(4, 3)
    found = metrics(Task.MULTICLASS, y, scores, CLASSES)
    each = [area_under_roc(y == index, scores[:, index]) for index in (0, 1)]
    assert found["roc_auc"] == pytest.approx(np.mean(each))


def test_r2_of_a_constant_target_is_left_out() -> None:
    assert "r2" not in metrics(Task.REGRESSION, np.ones(4), np.arange(4.0), ())


@given(
    y=st.lists(st.integers(0, 2), min_size=1, max_size=12),
    seed=st.integers(0, 50),
    sure=st.booleans(),
)
def test_results_are_always_finite_and_without_warnings(y: list[int], seed: int, sure: bool) -> None:
    scores = probabilities(len(y), 3, seed)
    scores = np.eye(3)[scores.argmax(axis=1)] if sure else scores
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics(Task.MULTICLASS, np.array(y), scores, CLASSES)
    assert np.isfinite(list(found.values())).all()


@given(seed=st.integers(0, 100))
def test_reversing_the_scores_mirrors_the_area_under_the_curve(seed: int) -> None:
    score = probabilities(20, 2, seed)[:, 1].round(1)
    positive = np.arange(20) % 3 == 0
    assert area_under_roc(positive, score) == pytest.approx(1 - area_under_roc(positive, -score))


@pytest.mark.parametrize("name", names(Task.BINARY))
def test_measure_grows_with_quality(name: str) -> None:
    y = np.array([0, 1] * 20)
    good = np.where(y == 1, 0.8, 0.2)
    good[:4] = 1 - good[:4]
    bad = np.where(np.arange(40) % 4 == 0, good, 1 - good)
    better = measure(name, Task.BINARY, ("no", "yes"))
    assert better(y, np.column_stack([1 - good, good])) > better(y, np.column_stack([1 - bad, bad]))


@pytest.mark.parametrize("task", list(Task))
def test_measure_is_the_same_figure_as_metrics_with_losses_negated(task: Task) -> None:
    rows, classes = 30, {Task.BINARY: 2, Task.MULTICLASS: 3, Task.REGRESSION: 1}[task]
    scores = probabilities(rows, classes) if classes > 1 else np.arange(30.0)
    y = np.arange(rows) % classes if classes > 1 else np.arange(30.0) + 1
    for name, value in metrics(task, y, scores, CLASSES[:classes] if classes > 1 else ()).items():
        signed = measure(name, task, CLASSES[:classes] if classes > 1 else ())(y, scores)
        assert signed == (value if higher_is_better(name) else -value)


def test_measure_survives_a_process_boundary() -> None:
    again = pickle.loads(pickle.dumps(measure("brier", Task.BINARY, ("no", "yes"))))
    assert again(np.array([1]), np.array([[0.5, 0.5]])) == -0.25


def test_measure_refuses_rows_that_do_not_define_the_metric() -> None:
    with pytest.raises(ProjectError, match="not defined on these 2 rows"):
        measure("roc_auc", Task.BINARY, ("no", "yes"))(np.array([0, 0]), probabilities(2, 2))


def test_a_misspelt_metric_is_answered_with_the_likely_one() -> None:
    with pytest.raises(ProjectError, match="did you mean `roc_auc`"):
        measure("roc_acu", Task.BINARY, ("no", "yes"))
    with pytest.raises(ProjectError, match="did you mean `log_loss`"):
        higher_is_better("logloss")


def test_a_metric_of_another_task_is_refused() -> None:
    with pytest.raises(ProjectError, match="for a regression target"):
        measure("roc_auc", Task.REGRESSION, ())


@pytest.mark.parametrize("task", list(Task))
def test_the_default_metric_belongs_to_the_task(task: Task) -> None:
    assert default_metric(task) in names(task)


def test_a_score_at_the_threshold_is_positive() -> None:
    scores = np.array([[0.5, 0.5], [0.51, 0.49]])
    assert predicted(scores, Task.BINARY).tolist() == [1, 0]


def test_regression_predicts_its_scores() -> None:
    scores = np.array([1.5, 2.5])
    assert predicted(scores, Task.REGRESSION).tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.empty((0, 2)), "no rows"),
        (np.ones((2, 3)), "shape"),
        (np.array([[0.5, np.nan], [0.5, 0.5]]), "NaN"),
    ],
)
def test_scores_that_cannot_be_measured_are_refused(scores: Floats, message: str) -> None:
    with pytest.raises(StepFailed, match=message):
        metrics(Task.BINARY, np.zeros(min(len(scores), 2), dtype=np.int64), scores, ("no", "yes"))
