"""Performance on matured labels and its estimate without them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from everfit.evaluation import metrics
from everfit.monitoring.estimate import impact
from everfit.monitoring.intervals import area, bootstrap_error, wilson
from everfit.monitoring.performance import performance
from everfit.records.table import Task
from everfit.records.watch import PerformanceReport

Floats = NDArray[np.float64]


def auc(y: NDArray[Any], scores: Floats) -> float:
    ranks = stats.rankdata(scores[:, 1])
    positives = int(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return float("nan")
    return float((ranks[y == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def accuracy(y: NDArray[Any], scores: Floats) -> float:
    return float(np.mean((scores[:, 1] >= 0.5) == y))


def rmse(y: NDArray[Any], scores: Floats) -> float:
    return float(np.sqrt(np.mean((y - scores) ** 2)))


def answers(rows: int, seed: int, signal: float = 1.5) -> tuple[NDArray[np.int64], Floats]:
    generator = np.random.default_rng(seed)
    y = (generator.random(rows) < 0.3).astype(np.int64)
    p = 1 / (1 + np.exp(-(generator.normal(size=rows) + signal * y - 1.2)))
    return y, np.column_stack([1 - p, p])


classified = partial(performance, Task.BINARY, higher_is_better=True, expected_labels=1_400, tolerance=0.02, coverage=1)
by_area = partial(classified, metric="roc_auc", measure=auc)
by_accuracy = partial(classified, metric="accuracy", measure=accuracy)
regressed = partial(
    performance,
    Task.REGRESSION,
    metric="rmse",
    measure=rmse,
    higher_is_better=False,
    expected_labels=1_000,
    tolerance=0.02,
    coverage=1,
)


@pytest.mark.parametrize("judge", [by_area, by_accuracy])
def test_a_model_that_fell_far_is_degraded(judge: partial[PerformanceReport]) -> None:
    y, scores = answers(800, 1, signal=0.2)
    found = judge(y, scores, expected=0.85, alpha=0.001)
    assert found.degraded
    assert found.high is not None
    assert found.high < 0.85 - 0.02


def test_a_model_as_good_as_expected_is_not_degraded() -> None:
    y, scores = answers(800, 2)
    expected = auc(*answers(1_400, 3))
    found = by_area(y, scores, expected=expected, alpha=0.001)
    assert not found.degraded
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert found.low < found.value < found.high


def test_a_fall_within_the_tolerance_is_not_degraded_however_many_labels() -> None:
    y, scores = answers(100_000, 4)
    value = accuracy(y, scores)
    assert not by_accuracy(y, scores, expected=value + 0.015, expected_labels=10**6, alpha=0.01).degraded
    assert by_accuracy(y, scores, expected=value + 0.03, expected_labels=10**6, alpha=0.01).degraded


def test_an_expectation_from_few_test_rows_convicts_nobody() -> None:
    y, scores = answers(20_000, 5)
    expected = accuracy(y, scores) + 0.06
    assert by_accuracy(y, scores, expected=expected, expected_labels=5_000, alpha=0.01).degraded
    assert not by_accuracy(y, scores, expected=expected, expected_labels=60, alpha=0.01).degraded


def test_false_alarms_stay_near_alpha() -> None:
    alpha, looks, alarmed = 0.05, 600, 0
    for seed in range(looks):
        expected = auc(*answers(700, 2 * seed))
        y, scores = answers(300, 2 * seed + 1)
        alarmed += by_area(y, scores, expected=expected, expected_labels=700, tolerance=0.0, alpha=alpha).degraded
    assert alarmed <= stats.binom.isf(0.001, looks, alpha)


def test_no_labels_give_no_value() -> None:
    found = by_area(np.zeros(0, dtype=np.int64), np.zeros((0, 2)), expected=0.8, alpha=0.01)
    assert (found.value, found.low, found.degraded, found.labels) == (None, None, False, 0)


def test_labels_of_one_class_give_no_area_and_no_alarm() -> None:
    y, scores = answers(200, 6)
    found = by_area(np.zeros_like(y), scores, expected=0.8, alpha=0.01)
    assert (found.value, found.degraded) == (None, False)


def test_a_handful_of_positives_gives_a_value_without_bounds() -> None:
    y, scores = answers(200, 7, signal=-3.0)
    few = np.flatnonzero(y == 1)[9:]
    found = by_area(np.delete(y, few), np.delete(scores, few, axis=0), expected=0.9, alpha=0.01)
    assert found.value is not None
    assert (found.low, found.degraded) == (None, False)


def test_a_loss_is_degraded_when_it_rises_and_its_tolerance_is_relative() -> None:
    generator = np.random.default_rng(8)
    truth = generator.normal(0, 1e5, 2_000)
    guess = truth + generator.normal(0, 1e4, 2_000)
    assert not regressed(truth, guess, expected=1e4, alpha=0.01).degraded
    assert regressed(truth, guess, expected=8e3, alpha=0.01).degraded
    assert not regressed(truth, guess, expected=2e4, alpha=0.01).degraded
    assert not regressed(truth, guess, expected=8e3, tolerance=0.5, alpha=0.01).degraded


def test_the_bootstrap_finds_the_error_of_a_mean_and_repeats_itself() -> None:
    values = np.random.default_rng(9).normal(0, 2, 40_000)
    mean = partial(bootstrap_error, lambda y, _: float(y.mean()), by_class=False)
    assert mean(values, values, seed=1) == pytest.approx(2 / np.sqrt(40_000), rel=0.2)
    assert mean(values, values, seed=1) == mean(values, values, seed=1)


def test_every_draw_of_the_bootstrap_holds_every_class() -> None:
    y = np.array([0] * 40 + [1, 2])
    seen: list[int] = []

    def measure(drawn: NDArray[Any], _: Floats) -> float:
        seen.append(len(np.unique(drawn)))
        return 0.0

    bootstrap_error(measure, y, y * 1.0, 0, by_class=True)
    assert set(seen) == {3}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_bounds_stay_within_shares(share: float) -> None:
    for found in (wilson(share, 30, 3.3), area(share, 10, 20, 3.3)):
        assert 0 <= found.low <= share <= found.high <= 1
        assert found.high - found.low > 0.01


def test_scores_nearer_to_the_threshold_cost_accuracy() -> None:
    found = impact(Task.BINARY, [0.05, 0.95, 0.1, 0.9], [0.45, 0.55, np.nan, 0.4])
    assert found is not None
    assert found.metric == "accuracy"
    assert found.reference == pytest.approx(0.925)
    assert found.drop == pytest.approx(0.925 - 1.7 / 3)


def test_the_estimate_is_the_accuracy_of_a_calibrated_model() -> None:
    generator = np.random.default_rng(10)
    p = generator.beta(1, 3, 50_000)
    truth = generator.random(50_000) < p
    found = impact(Task.BINARY, p, p, threshold=0.3)
    assert found is not None
    assert found.current == pytest.approx(float(np.mean((p >= 0.3) == truth)), abs=0.01)
    assert found.drop == 0


def test_with_several_classes_the_score_itself_is_the_confidence() -> None:
    found = impact(Task.MULTICLASS, [0.8, 0.4], [0.4, 0.4])
    assert found is not None
    assert found.reference == pytest.approx(0.6)
    assert found.current == pytest.approx(0.4)


def test_without_probabilities_or_rows_there_is_no_estimate() -> None:
    assert impact(Task.REGRESSION, [1.0], [2.0]) is None
    assert impact(Task.BINARY, [0.5], []) is None


def test_bounds_are_none_that_the_metric_cannot_have() -> None:
    given = np.random.default_rng(1).dirichlet([0.05, 0.05, 0.05], 120)
    truth = given.argmax(axis=1)
    for metric, better, expected in (("roc_auc", True, 0.99), ("log_loss", False, 0.1)):
        signed = partial(_signed, metrics.measure(metric, Task.MULTICLASS, ("a", "b", "c")), 1.0 if better else -1.0)
        found = performance(
            Task.MULTICLASS, truth, given, metric=metric, measure=signed, higher_is_better=better,
            expected=expected, expected_labels=500, tolerance=0.02, coverage=1.0, alpha=1e-9,
        )  # fmt: skip
        assert found.low is not None
        assert found.high is not None
        assert found.low >= 0.0
        assert not better or found.high <= 1.0


def _signed(measure: Callable[[NDArray[Any], Floats], float], sign: float, y: NDArray[Any], scores: Floats) -> float:
    return sign * measure(y, scores)
