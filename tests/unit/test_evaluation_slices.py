"""A part where the model is worse is found, and nothing is found where it is equally good."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from everfit.evaluation.slices import LEAST, slices
from everfit.records.evaluation import Slices
from everfit.records.table import Task

Columns = dict[str, NDArray[Any]]
Drawn = tuple[Columns, NDArray[np.int64], NDArray[np.float64]]


def drawn(rows: int, seed: int, blind: str = "", task: Task = Task.BINARY) -> Drawn:
    """Rows whose scores are the true probabilities, but for the contract on which the model is `blind`."""
    random = np.random.default_rng(seed)
    logit = random.normal(-1, 2, rows)
    contract = random.choice(["month", "year", "two years"], rows).astype(object)
    columns: Columns = {
        "contract": contract,
        "tenure": random.gamma(2.0, 10.0, rows),
        "senior": random.random(rows) < 0.2,
        "city": np.array([f"city {i}" for i in random.integers(0, 200, rows)], dtype=object),
    }
    columns["tenure"][random.random(rows) < 0.1] = np.nan
    share = 1 / (1 + np.exp(-logit))
    y = (random.random(rows) < share).astype(np.int64)
    stated = np.where(contract == blind, random.random(rows), share)
    return columns, y, np.column_stack((1 - stated, stated))


def found(rows: int, seed: int, blind: str = "", metric: str = "roc_auc") -> Slices:
    columns, y, scores = drawn(rows, seed, blind)
    return slices(columns, metric, Task.BINARY, y, scores)


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy", "f1"])
def test_the_part_on_which_the_model_is_blind_comes_first(metric: str) -> None:
    worst = found(3000, 1, "year", metric).worst[0]
    assert (worst.column, worst.level, worst.marked) == ("contract", "year", True)
    assert worst.difference < 0
    assert worst.interval.low <= worst.value <= worst.interval.high


def test_where_the_model_is_equally_good_hardly_any_part_is_marked() -> None:
    runs = [bool(found(1500, seed).marked) for seed in range(60)]
    assert sum(runs) <= 8  # 5% of 60, and three standard errors


def test_every_part_is_judged_or_counted_as_too_small() -> None:
    result = found(1500, 1)
    named = {(one.column, one.level) for one in result.worst}
    assert {("contract", "month"), ("senior", "True"), ("senior", "False"), ("tenure", "missing")} <= named
    assert sum(column == "tenure" for column, _ in named) == 5
    assert all(one.rows >= LEAST for one in result.worst)
    assert not any(column == "city" for column, _ in named)  # seven rows each
    assert (result.judged, result.small) == (len(named), 20)


def test_a_part_says_what_was_stated_and_what_happened() -> None:
    columns, y, scores = drawn(2000, 4)
    one = next(s for s in slices(columns, "brier", Task.BINARY, y, scores).worst if s.level == "month")
    rows = columns["contract"] == "month"
    assert (one.stated, one.observed) == pytest.approx((scores[rows, 1].mean(), y[rows].mean()))
    assert one.rows == rows.sum()


def test_parts_in_which_the_metric_is_not_defined_are_left_out() -> None:
    columns, y, scores = drawn(600, 1)
    columns = {"answer": np.where(y == 1, "yes", "no").astype(object)}
    result = slices(columns, "roc_auc", Task.BINARY, y, scores)
    assert (result.worst, result.small) == ((), 2)


def test_a_regression_and_several_classes_have_slices_too() -> None:
    random = np.random.default_rng(1)
    group = random.choice(["a", "b"], 800).astype(object)
    y = random.normal(size=800)
    scores = y + np.where(group == "a", 2.0, 0.2) * random.normal(size=800)
    worst = slices({"group": group}, "rmse", Task.REGRESSION, y, scores).worst[0]
    assert (worst.level, worst.marked) == ("a", True)
    share = random.dirichlet((1, 1, 1), 800)
    classes = (random.random((800, 1)) > share.cumsum(axis=1)).sum(axis=1).clip(max=2)
    result = slices({"group": group}, "roc_auc", Task.MULTICLASS, classes, share)
    assert result.judged == 2
    assert result.worst[0].stated is None


def test_a_column_with_one_value_is_no_part() -> None:
    _, y, scores = drawn(300, 1)
    assert slices({"same": np.ones(300)}, "roc_auc", Task.BINARY, y, scores).judged == 0
