"""Intervals hold the true value as often as they say; two models are compared row by row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from everfit.evaluation.influence import area, influence
from everfit.evaluation.intervals import difference, intervals, wilson
from everfit.evaluation.metrics import metrics, names
from everfit.records.evaluation import Verdict
from everfit.records.table import Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def binary(rows: int, seed: int, noise: float = 0.0) -> tuple[Ints, Floats]:
    """Scores that are the true probabilities, blurred by the noise."""
    random = np.random.default_rng(seed)
    logit = random.normal(-1, 1.5, rows)
    y = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    return y, two(1 / (1 + np.exp(-(logit + noise * random.normal(size=rows)))))


def two(stated: Floats) -> Floats:
    return np.column_stack((1 - stated, stated))


def several(rows: int, seed: int) -> tuple[Ints, Floats]:
    random = np.random.default_rng(seed)
    share = np.exp(random.normal(size=(rows, 3)) + np.array([1, 0, -0.5]))
    share /= share.sum(axis=1, keepdims=True)
    return (random.random((rows, 1)) > share.cumsum(axis=1)).sum(axis=1).clip(max=2), share


def values(rows: int, seed: int) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    truth = random.gamma(2.0, 3.0, rows)
    return truth + random.normal(0, 2, rows), truth


SAMPLES: dict[Task, Callable[[int, int], tuple[NDArray[np.generic], Floats]]] = {
    Task.BINARY: binary,
    Task.MULTICLASS: several,
    Task.REGRESSION: values,
}
CLASSES = {Task.BINARY: ("no", "yes"), Task.MULTICLASS: ("a", "b", "c"), Task.REGRESSION: ()}


@pytest.mark.parametrize("task", list(Task))
def test_the_influence_has_the_metrics_value_and_the_bootstraps_spread(task: Task) -> None:
    y, scores = SAMPLES[task](600, 3)
    known = metrics(task, y, scores, CLASSES[task], 0.4)
    random = np.random.default_rng(1)
    draws = [random.integers(0, len(y), len(y)) for _ in range(300)]
    again = [metrics(task, y[rows], scores[rows], CLASSES[task], 0.4) for rows in draws]
    for name in names(task):
        found = influence(name, task, y, scores, 0.4)
        assert found.value == pytest.approx(known[name])
        if name != "ece":  # an absolute value: its bootstrap is biased upwards
            assert found.error == pytest.approx(np.std([one[name] for one in again]), rel=0.2)


def test_the_area_has_delongs_variance() -> None:
    y, scores = binary(80, 1)
    score = scores[:, 1].round(1)  # ties
    pairs = [[float(a > b) + 0.5 * (a == b) for b in score[y == 0]] for a in score[y == 1]]
    kernel = np.array(pairs)
    variance = kernel.mean(axis=1).var(ddof=1) / len(kernel) + kernel.mean(axis=0).var(ddof=1) / kernel.shape[1]
    found = area(y == 1, score)
    assert (found.value, found.error) == pytest.approx((kernel.mean(), variance**0.5))


def test_the_difference_of_two_areas_has_delongs_paired_variance() -> None:
    y, ours = binary(90, 2)
    theirs = two(np.random.default_rng(5).random(90))
    kernels = [np.sign(s[y == 1, 1][:, None] - s[y == 0, 1]) / 2 + 0.5 for s in (ours, theirs)]
    over = kernels[0] - kernels[1]
    error = (over.mean(axis=1).var(ddof=1) / over.shape[0] + over.mean(axis=0).var(ddof=1) / over.shape[1]) ** 0.5
    found = difference("roc_auc", Task.BINARY, y, (ours, 0.5), (theirs, 0.5), 0.005)
    assert found is not None
    assert found.difference == pytest.approx(over.mean())
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * error)


@pytest.mark.parametrize(
    ("task", "rows", "held"),
    [
        (Task.BINARY, 250, {"roc_auc", "f1", "precision", "recall", "accuracy", "brier", "log_loss", "f1_macro"}),
        (Task.MULTICLASS, 250, {"roc_auc", "f1", "accuracy", "brier", "recall_macro", "precision_weighted"}),
        (Task.REGRESSION, 250, {"r2", "rmse", "mae"}),
    ],
)
def test_intervals_hold_the_true_value_about_95_times_in_100(task: Task, rows: int, held: set[str]) -> None:
    truth = metrics(task, *SAMPLES[task](200_000, 999), CLASSES[task])
    times = 300
    found = [intervals(task, *SAMPLES[task](rows, seed)) for seed in range(times)]
    for name in held:
        share = sum(one[name].low <= truth[name] <= one[name].high for one in found) / times
        assert 0.92 <= share <= 0.985, (name, share)


def test_an_interval_holds_the_metric_and_stays_in_its_range() -> None:
    for rows in (2, 5, 30):
        for seed in range(20):
            y, scores = binary(rows, seed)
            known = metrics(Task.BINARY, y, scores, ("no", "yes"))
            for name, around in intervals(Task.BINARY, y, scores).items():
                assert around.low <= known[name] + 1e-12
                assert known[name] <= around.high + 1e-12
                assert around.low >= 0
                assert around.high <= 1 or name == "log_loss"


def test_a_perfect_area_on_few_rows_is_not_certain() -> None:
    y = np.array([0] * 10 + [1] * 5)
    found = intervals(Task.BINARY, y, two(np.linspace(0, 1, 15)))["roc_auc"]
    assert found.high == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / 5))


def test_undefined_metrics_have_no_interval_and_ece_never_has_one() -> None:
    found = intervals(Task.BINARY, np.zeros(9, dtype=np.int64), two(np.linspace(0.1, 0.9, 9)))
    assert {"roc_auc", "recall", "ece"}.isdisjoint(found)
    assert "r2" not in intervals(Task.REGRESSION, np.ones(5), np.arange(5.0))


def test_wilson_of_no_rows_is_everything() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


def test_what_two_models_share_cancels() -> None:
    y, ours = binary(1500, 1)
    theirs = two((ours[:, 1] * 0.999).clip(0, 1))
    found = difference("roc_auc", Task.BINARY, y, (ours, 0.5), (theirs, 0.5), 0.005)
    alone = intervals(Task.BINARY, y, ours)["roc_auc"]
    assert found is not None
    assert found.high - found.low < 0.01 * (alone.high - alone.low)
    assert found.verdict is Verdict.NO_WORSE


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "f1"])
def test_a_clearly_worse_model_is_told_and_so_is_a_better_one(metric: str) -> None:
    y, good = binary(4000, 1)
    _, bad = binary(4000, 1, noise=2.0)
    for first, second, verdict in ((good, bad, Verdict.BETTER), (bad, good, Verdict.WORSE)):
        found = difference(metric, Task.BINARY, y, (first, 0.5), (second, 0.5), 0.005)
        assert found is not None
        assert found.verdict is verdict


def test_the_room_of_an_error_in_the_targets_unit_is_a_share() -> None:
    y, scores = values(50, 1)
    found = difference("rmse", Task.REGRESSION, y, (scores, 0.5), (scores + 0.1, 0.5), 0.01)
    assert found is not None
    assert found.room == pytest.approx(0.01 * found.champion)


def test_two_models_that_are_equally_good_are_seldom_told_apart() -> None:
    told = 0
    for seed in range(300):
        y, scores = binary(400, seed)
        random = np.random.default_rng([seed, 7])
        logit = np.log(scores[:, 1] / scores[:, 0])
        first, second = (two(1 / (1 + np.exp(-(logit + 0.5 * random.normal(size=400))))) for _ in range(2))
        found = difference("roc_auc", Task.BINARY, y, (first, 0.5), (second, 0.5), 0.0)
        assert found is not None
        told += found.low > 0 or found.high < 0
    assert 3 <= told <= 27  # 5% of 300, give or take three standard errors


def test_a_metric_that_the_rows_do_not_define_is_not_compared() -> None:
    y = np.zeros(4, dtype=np.int64)
    scores = two(np.full(4, 0.3))
    assert difference("roc_auc", Task.BINARY, y, (scores, 0.5), (scores, 0.5), 0.1) is None
