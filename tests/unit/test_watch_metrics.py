"""What was looked at is shown to Prometheus, and jobs push it to a real Pushgateway."""

from __future__ import annotations

import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from everfit.errors import StorageError
from everfit.records.profile import LossKind
from everfit.records.quality import FailedCheck, Origin, QualityLook
from everfit.records.run import RunRecord, Status, StepRecord
from everfit.records.table import Severity
from everfit.records.watch import (
    Alarm,
    AlarmKind,
    AlarmState,
    ColumnDrift,
    Decision,
    DriftReport,
    LossReport,
    MonitorReport,
    PerformanceReport,
)
from everfit.serving.metrics import ServingMetrics
from everfit.serving.watch_metrics import Observed, WatchMetrics, push

AT = datetime(2026, 1, 1, tzinfo=UTC)
AGE = ColumnDrift("age", "kolmogorov_smirnov", 0.31, 0.0, 0.0, 0.31, True)
DRIFT = DriftReport(500, AT, AT, (AGE, replace(AGE, column="plan", effect=0.01, drifted=False)), AGE, 0.001, 0.02)
JUDGED = PerformanceReport("roc_auc", 0.8, 0.7, 0.9, 0.84, 600, 0.75, False, 0.001, 0.81, 0.8)
LOOK = MonitorReport(AT, 500, DRIFT, JUDGED, None, (), Decision(AT, False, None, ()))
RUN = RunRecord(
    "a", "training", Status.DONE, AT, AT + timedelta(seconds=7), (StepRecord("fit", Status.DONE, "", "", 2, ""),)
)
RAISED = Alarm("drift:1:age", AlarmKind.DRIFT, AT, "age moved")
OVER = replace(RAISED, state=AlarmState.RESOLVED)
EMPTY = FailedCheck("nulls", "age", Severity.WARNING, "12%", "at most 5%", 0.12, 0.04, 1e-6, is_news=True)
CHECKED = QualityLook(AT, Origin.PREDICTIONS, 500, 0.75, 12, (EMPTY,), 0.001, "7")
OBSERVED = Observed(
    LOOK,
    LOOK,
    (RAISED, OVER),
    {("training", Status.DONE): 1, ("training", Status.FAILED): 1},
    (RUN,),
    quality=(CHECKED,),
    rows=800,
    events={"promoted": 2},
    tests={3: {"precision": 0.7, "recall": 0.6, "f1": 0.65}},
    losses=LossReport(LossKind.BRIER, 0.21, 0.17, 300, 900, 3.0, 2e4, degraded=False),
)


def test_looks_alarms_and_runs_stand_beside_the_servers_own_metrics() -> None:
    metrics = ServingMetrics()
    metrics.registry.register(WatchMetrics(lambda: OBSERVED))
    text = metrics.text().decode()
    for line in (
        'feature_drift_score{feature="age"} 0.31',
        'feature_drifted{feature="plan"} 0.0',
        "drift_score 0.5",
        "prediction_drift_score 0.31",
        'production_performance{metric="roc_auc"} 0.8',
        "model_accuracy 0.81",
        "label_coverage 0.75",
        'production_performance_estimated{metric="accuracy"} 0.8',
        'production_loss{loss="brier"} 0.21',
        'production_loss_expected{loss="brier"} 0.17',
        'production_loss_labels{loss="brier"} 900.0',
        'production_loss_evidence{loss="brier"} 3.0',
        'production_loss_evidence_alarm{loss="brier"} 20000.0',
        'monitored_data_quality_score{origin="predictions"} 0.75',
        'data_quality_failed_checks{check="nulls",column="age",origin="predictions"} 1.0',
        'data_quality_failed_share{check="nulls",column="age",origin="predictions"} 0.12',
        'alarms_open{kind="drift"} 1.0',
        'pipeline_runs_total{pipeline="training",status="success"} 1.0',
        'pipeline_runs_total{pipeline="training",status="failed"} 1.0',
        'pipeline_duration_seconds{pipeline="training"} 7.0',
        'pipeline_step_duration_seconds{pipeline="training",step="fit"} 2.0',
        "data_rows_processed_total 800.0",
        "model_training_duration_seconds 2.0",
        'model_precision{version="3"} 0.7',
        'model_recall{version="3"} 0.6',
        'model_f1_score{version="3"} 0.65',
        'model_deployments_total{event="promoted"} 2.0',
        'alarms_open{kind="data_quality"} 0.0',
    ):
        assert line in text
    assert "release_number" in text


def test_records_that_cannot_be_read_leave_the_servers_own_metrics() -> None:
    def unreadable() -> Observed:
        raise StorageError("gone", where="state", fix="wait")

    metrics = ServingMetrics()
    metrics.registry.register(WatchMetrics(unreadable))
    assert "release_number" in metrics.text().decode()


def test_a_job_pushes_what_it_found(pushgateway_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    push(pushgateway_server, "everfit-churn", OBSERVED)
    with urllib.request.urlopen(f"{pushgateway_server}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert 'feature_drift_score{feature="age",instance="",job="everfit-churn"} 0.31' in text


def test_a_pushgateway_that_is_away_is_told() -> None:
    with pytest.raises(StorageError, match="not pushed"):
        push("http://127.0.0.1:9", "everfit-churn", OBSERVED)


def test_what_was_estimated_of_a_regression_bears_its_own_metric() -> None:
    found = replace(JUDGED, metric="rmse", value=3.2, accuracy=None, estimated=3.0)
    metrics = ServingMetrics()
    metrics.registry.register(WatchMetrics(lambda: replace(OBSERVED, judged=replace(LOOK, performance=found))))
    text = metrics.text().decode()
    assert 'production_performance_estimated{metric="rmse"} 3.0' in text
    assert "model_accuracy_estimated" not in text


def test_a_regressions_test_metrics_are_shown_too() -> None:
    metrics = ServingMetrics()
    metrics.registry.register(
        WatchMetrics(lambda: Observed(None, None, (), tests={4: {"rmse": 54.4, "mae": 45.2, "r2": 0.43}}))
    )
    shown = metrics.text().decode()
    for name, value in (("rmse", 54.4), ("mae", 45.2), ("r2", 0.43)):
        assert f'model_test_{name}{{version="4"}} {value}' in shown
