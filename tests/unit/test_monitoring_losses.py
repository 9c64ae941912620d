"""Losses on labels one by one: a rise is found, and a model that holds raises no alarm beyond the stated rate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from everfit.monitoring.losses import baseline, kind, losses, watch
from everfit.records.profile import LossKind, LossProfile
from everfit.records.table import Task
from everfit.records.watch import LossState

HELD = LossProfile(LossKind.ERROR, 2_000, 0.2, 0.4, 1.0)


def wrong(share: float, rows: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return (np.random.default_rng(seed).random(rows) < share).astype(np.float64)


def test_a_model_that_holds_raises_no_more_than_is_said() -> None:
    streams, rows, run_length = 200, 2_000, 10_000.0
    alarms = sum(
        watch(HELD, wrong(0.22, rows, seed), LossState(1), 0.02, run_length)[1].degraded for seed in range(streams)
    )
    expected = streams * rows / run_length
    assert alarms <= expected + 3 * expected**0.5


def test_a_rise_is_found() -> None:
    found = [watch(HELD, wrong(0.3, 3_000, seed), LossState(1), 0.02, 1e5)[1].degraded for seed in range(20)]
    assert sum(found) >= 19


def test_it_is_the_same_however_often_one_looks() -> None:
    stream = wrong(0.25, 1_500, 3)
    whole = watch(HELD, stream, LossState(1), 0.02, 1e9)[0]
    state = LossState(1)
    for part in np.array_split(stream, 41):
        state, _ = watch(HELD, part, state, 0.02, 1e9)
    assert state.sums == pytest.approx(whole.sums)
    assert state.labels == whole.labels
    assert state.total == pytest.approx(whole.total)


def test_one_outlier_is_no_change() -> None:
    generator = np.random.default_rng(1)
    known = baseline(LossKind.SQUARED, generator.normal(size=2_000) ** 2)
    assert known is not None
    later = generator.normal(size=500) ** 2
    later[100] = 1e12
    assert not watch(known, later, LossState(1), 0.02, 1e5)[1].degraded


@pytest.mark.parametrize(
    ("task", "metric", "loss"),
    [
        (Task.BINARY, "roc_auc", LossKind.BRIER),
        (Task.BINARY, "accuracy", LossKind.ERROR),
        (Task.MULTICLASS, "f1_weighted", LossKind.ERROR),
        (Task.MULTICLASS, "log_loss", LossKind.BRIER_OF_CLASSES),
        (Task.REGRESSION, "mae", LossKind.ABSOLUTE),
        (Task.REGRESSION, "rmse", LossKind.SQUARED),
    ],
)
def test_the_loss_goes_with_the_metric(task: Task, metric: str, loss: LossKind) -> None:
    assert kind(task, metric) is loss


def test_losses_of_each_kind() -> None:
    score, outcome = np.array([0.9, 0.4, 0.2]), np.array([1.0, 1.0, 0.0])
    right = np.array([True, False, True])
    assert losses(LossKind.BRIER, score, outcome, right) == pytest.approx([0.01, 0.36, 0.04])
    assert losses(LossKind.ERROR, score, outcome, right).tolist() == [0.0, 1.0, 0.0]
    assert losses(LossKind.ABSOLUTE, score, outcome, right) == pytest.approx([0.1, 0.6, 0.2])


def test_too_few_test_rows_leave_no_baseline() -> None:
    assert baseline(LossKind.ERROR, np.array([1.0])) is None


START = datetime(2026, 1, 1, tzinfo=UTC)


def each_hour(rows: int) -> list[datetime]:
    return [START + timedelta(hours=hour) for hour in range(rows)]


def test_a_change_is_dated_however_the_labels_are_cut_into_looks() -> None:
    stream = np.concatenate([wrong(0.2, 1_000, 1), wrong(0.4, 500, 2)])
    times = each_hour(len(stream))
    whole, found = watch(HELD, stream, LossState(1), 0.02, 1e5, times)
    assert found.lasting
    assert found.since is not None
    assert abs(found.since - times[1_000]) < timedelta(hours=60)
    state = LossState(1)
    for rows in np.array_split(np.arange(len(stream)), 23):
        state, last = watch(HELD, stream[rows], state, 0.02, 1e5, [times[row] for row in rows])
    assert last.since == found.since
    assert [one.won for one in state.rises] == pytest.approx([one.won for one in whole.rises])


def test_a_model_that_holds_is_called_lastingly_worse_far_more_seldom_than_an_alarm_is_raised() -> None:
    rows, run_length = 2_000, 2_000.0
    found = [
        watch(HELD, wrong(0.22, rows, seed), LossState(1), 0.02, run_length, each_hour(rows))[1] for seed in range(200)
    ]
    alarms, lasting = sum(one.degraded for one in found), sum(one.lasting for one in found)
    assert alarms > 5
    assert lasting <= alarms / 5


def test_without_times_a_rise_is_not_dated() -> None:
    _, found = watch(HELD, wrong(0.5, 1_000, 1), LossState(1), 0.02, 1e5)
    assert (found.degraded, found.since, found.lasting) == (True, None, False)
