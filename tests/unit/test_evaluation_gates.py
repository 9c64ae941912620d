import numpy as np
import pytest

from everfit.evaluation.gates import baseline, judge, not_worse
from everfit.evaluation.metric_names import higher_is_better
from everfit.project.sections.training import Gates
from everfit.records.evaluation import Difference, Interval
from everfit.records.model import GateResult
from everfit.records.table import Task

CONSTANT = {"roc_auc": 0.5, "rmse": 10.0}


def result(gate: str, gates: Gates, metrics: dict[str, float], metric: str = "roc_auc") -> GateResult:
    report = judge(gates, metrics, {}, metric, CONSTANT)
    return next(each for each in report.results if each.gate == gate)


def compared(moved: float, error: float, room: float = 0.005, metric: str = "roc_auc") -> Difference:
    sign = 1 if higher_is_better(metric) else -1
    return Difference(metric, 0.8 + sign * moved, 0.8, moved, moved - 1.96 * error, moved + 1.96 * error, room, 1409)


def test_every_bound_that_is_met_passes() -> None:
    assert judge(
        Gates(accuracy=0.7, log_loss=0.5), {"accuracy": 0.7, "log_loss": 0.5, "roc_auc": 0.8}, {}, "roc_auc", CONSTANT
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
    assert not judge(gates, metrics, {}, "roc_auc", CONSTANT).passed


def test_a_bound_on_an_absent_metric_fails_and_says_so() -> None:
    found = result("f1", Gates(f1=0.1), {"roc_auc": 0.9})
    assert (found.passed, found.observed) == (False, None)
    assert "no f1" in found.reason


def test_a_metric_that_is_not_a_number_counts_as_absent() -> None:
    assert not result("f1", Gates(f1=0.1), {"f1": float("nan"), "roc_auc": 0.9}).passed


def test_without_configured_gates_the_model_must_still_beat_a_constant_answer() -> None:
    assert judge(Gates(), {"roc_auc": 0.51}, {}, "roc_auc", CONSTANT).passed
    assert not judge(Gates(), {"roc_auc": 0.5}, {}, "roc_auc", CONSTANT).passed


@pytest.mark.parametrize(("metrics", "constant"), [({}, CONSTANT), ({"roc_auc": 0.9}, {})])
def test_a_missing_side_of_the_baseline_fails(metrics: dict[str, float], constant: dict[str, float]) -> None:
    report = judge(Gates(), metrics, {}, "roc_auc", constant)
    assert [each.passed for each in report.results] == [False]


def test_a_loss_beats_the_constant_answer_from_below() -> None:
    assert result("beats_baseline", Gates(), {"rmse": 9.0}, "rmse").passed
    assert not result("beats_baseline", Gates(), {"rmse": 11.0}, "rmse").passed


def test_the_first_model_has_no_champion_to_beat() -> None:
    found = not_worse("roc_auc", 0.6, False, None)
    assert (found.passed, found.reason) == (True, "no champion yet")


@pytest.mark.parametrize(
    ("moved", "error", "verdict", "passed", "surely"),
    [
        (0.02, 0.005, "better", True, True),
        (-0.001, 0.001, "no worse", True, True),
        (-0.02, 0.005, "worse", False, False),
        (0.0, 0.004, "cannot tell", True, False),
        (-0.004, 0.01, "cannot tell", True, False),
        (-0.006, 0.01, "cannot tell", False, False),
        (0.0, 0.0, "no worse", True, True),
    ],
)
def test_the_gate_goes_by_the_verdict_and_where_there_is_none_by_the_difference(
    moved: float, error: float, verdict: str, passed: bool, surely: bool
) -> None:
    for confident, expected in ((False, passed), (True, surely)):
        found = not_worse("roc_auc", 0.8 + moved, True, compared(moved, error), confident)
        assert (found.passed, found.reason.startswith(f"{verdict} (")) == (expected, True)


def test_the_reason_holds_the_figures_and_what_decided() -> None:
    reason = not_worse("roc_auc", 0.8, True, compared(-0.004, 0.01)).reason
    assert "roc_auc 0.7960 against the champion's 0.8000" in reason
    assert "-0.0040, 95% from -0.0236 to +0.0156; tolerance 0.005" in reason
    assert "1,409 rows are too few to be sure, the difference is within the tolerance" in reason


def test_what_is_required_of_a_loss_lies_above_the_champions() -> None:
    assert not_worse("log_loss", 0.4, True, compared(0.0, 0.001, metric="log_loss")).required == pytest.approx(0.805)


def test_a_champion_without_the_metric_fails_the_comparison() -> None:
    found = not_worse("roc_auc", 0.9, True, None)
    assert not found.passed
    assert "champion has no roc_auc" in found.reason


@pytest.mark.parametrize("has_champion", [True, False])
@pytest.mark.parametrize("observed", [None, float("nan")])
def test_a_model_without_the_metric_fails_the_comparison_even_without_a_champion(
    has_champion: bool, observed: float | None
) -> None:
    assert not not_worse("roc_auc", observed, has_champion, compared(0.1, 0.001)).passed


@pytest.mark.parametrize(
    ("gates", "passed"),
    [(Gates(roc_auc=0.81, brier=0.16), True), (Gates(roc_auc=0.83), False), (Gates(brier=0.145), False)],
)
def test_confident_gates_hold_the_worse_end_of_the_interval(gates: Gates, passed: bool) -> None:
    metrics, around = {"roc_auc": 0.85, "brier": 0.14}, {"roc_auc": Interval(0.82, 0.88), "brier": Interval(0.13, 0.15)}
    sure = judge(gates.model_copy(update={"confident": True}), metrics, around, "roc_auc", CONSTANT)
    assert judge(gates, metrics, around, "roc_auc", CONSTANT).passed
    assert sure.passed is passed
    assert sure.results[0].reason == "roc_auc, surely 0.8200, is better than 0.5000, the constant answer's"


def test_a_confident_gate_without_an_interval_fails_and_says_so() -> None:
    gates, metrics = Gates(ece=0.1, confident=True), {"roc_auc": 0.9, "ece": 0.01}
    report = judge(gates, metrics, {"roc_auc": Interval(0.8, 0.95)}, "roc_auc", CONSTANT)
    failed = [each.reason for each in report.results if not each.passed]
    assert failed == ["the model has no interval for ece on the test rows"]


def test_the_constant_classifier_answers_with_the_training_shares() -> None:
    found = baseline(Task.BINARY, np.array([0, 0, 0, 1]), np.array([0, 1]), ("no", "yes"))
    assert found["roc_auc"] == 0.5
    assert found["accuracy"] == 0.5
    assert found["brier"] == pytest.approx((0.25**2 + 0.75**2) / 2)


def test_the_constant_regressor_answers_with_the_training_mean() -> None:
    assert baseline(Task.REGRESSION, np.array([1.0, 3.0]), np.array([1.0, 3.0]), ())["r2"] == 0.0
