import numpy as np
import pytest

from everfit.evaluation.gates import baseline, judge
from everfit.project.sections.training import Gates
from everfit.records.model import GateResult
from everfit.records.table import Task

CONSTANT = {"roc_auc": 0.5, "rmse": 10.0}


def result(gate: str, gates: Gates, metrics: dict[str, float], metric: str = "roc_auc", **more: object) -> GateResult:
    champion = more.get("champion")
    assert champion is None or isinstance(champion, dict)
    report = judge(gates, metrics, metric, champion, CONSTANT)
    return next(each for each in report.results if each.gate == gate)


def test_every_bound_that_is_met_passes() -> None:
    assert judge(
        Gates(accuracy=0.7, log_loss=0.5), {"accuracy": 0.7, "log_loss": 0.5, "roc_auc": 0.8}, "roc_auc", None, CONSTANT
    ).passed


@pytest.mark.parametrize(
    ("gates", "metrics"),
    [
        (Gates(accuracy=0.8), {"accuracy": 0.79, "roc_auc": 0.9}),
        (Gates(log_loss=0.4), {"log_loss": 0.41, "roc_auc": 0.9}),
        (Gates(brier=0.1), {"brier": 0.2, "roc_auc": 0.9}),
    ],
)
def test_one_bound_missed_fails_the_report(gates: Gates, metrics: dict[str, float]) -> None:
    assert not judge(gates, metrics, "roc_auc", None, CONSTANT).passed


def test_a_bound_on_an_absent_metric_fails_and_says_so() -> None:
    found = result("f1", Gates(f1=0.1), {"roc_auc": 0.9})
    assert (found.passed, found.observed) == (False, None)
    assert "no f1" in found.reason


def test_a_metric_that_is_not_a_number_counts_as_absent() -> None:
    assert not result("f1", Gates(f1=0.1), {"f1": float("nan"), "roc_auc": 0.9}).passed


def test_without_configured_gates_the_model_must_still_beat_a_constant_answer() -> None:
    assert judge(Gates(), {"roc_auc": 0.51}, "roc_auc", None, CONSTANT).passed
    assert not judge(Gates(), {"roc_auc": 0.5}, "roc_auc", None, CONSTANT).passed


@pytest.mark.parametrize(("metrics", "constant"), [({}, CONSTANT), ({"roc_auc": 0.9}, {})])
def test_a_missing_side_of_the_baseline_fails(metrics: dict[str, float], constant: dict[str, float]) -> None:
    report = judge(Gates(), metrics, "roc_auc", None, constant)
    assert [each.passed for each in report.results] == [False]


def test_a_loss_beats_the_constant_answer_from_below() -> None:
    assert result("beats_baseline", Gates(), {"rmse": 9.0}, "rmse").passed
    assert not result("beats_baseline", Gates(), {"rmse": 11.0}, "rmse").passed


def test_the_first_model_has_no_champion_to_beat() -> None:
    found = result("not_worse_than_production", Gates(not_worse_than="production"), {"roc_auc": 0.6})
    assert (found.passed, found.reason) == (True, "no champion yet")


@pytest.mark.parametrize(("own", "passed"), [(0.9, True), (0.796, True), (0.794, False)])
def test_a_challenger_may_be_worse_than_the_champion_by_the_tolerance(own: float, passed: bool) -> None:
    gates = Gates(not_worse_than="production", tolerance=0.005)
    found = result("not_worse_than_production", gates, {"roc_auc": own}, champion={"roc_auc": 0.8})
    assert found.passed is passed


@pytest.mark.parametrize(("own", "passed"), [(4009.0, True), (4050.0, False)])
def test_the_tolerance_on_an_error_in_the_targets_unit_is_a_share(own: float, passed: bool) -> None:
    gates = Gates(not_worse_than="production", tolerance=0.005)
    report = judge(gates, {"rmse": own}, "rmse", {"rmse": 4000.0}, {"rmse": 9000.0})
    assert report.passed is passed


def test_a_champion_without_the_metric_fails_the_comparison() -> None:
    gates = Gates(not_worse_than="production")
    found = result("not_worse_than_production", gates, {"roc_auc": 0.9}, champion={"accuracy": 0.9})
    assert not found.passed
    assert "champion has no roc_auc" in found.reason


def test_a_model_without_the_metric_fails_the_comparison_even_without_a_champion() -> None:
    assert not result("not_worse_than_production", Gates(not_worse_than="production"), {}).passed


def test_the_constant_classifier_answers_with_the_training_shares() -> None:
    found = baseline(Task.BINARY, np.array([0, 0, 0, 1]), np.array([0, 1]), ("no", "yes"))
    assert found["roc_auc"] == 0.5
    assert found["accuracy"] == 0.5
    assert found["brier"] == pytest.approx((0.25**2 + 0.75**2) / 2)


def test_the_constant_regressor_answers_with_the_training_mean() -> None:
    assert baseline(Task.REGRESSION, np.array([1.0, 3.0]), np.array([1.0, 3.0]), ())["r2"] == 0.0
