"""What a look found goes to the tracker under the names that people know, and a tracker that is away stops nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.integration.projects import SmallProject, customers
from tests.unit.flow_places import Told

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import StorageError
from everfit.flow import monitoring, tracking
from everfit.records.codec import encode
from everfit.records.watch import ColumnDrift, Decision, DriftReport, MonitorReport, PerformanceReport
from everfit.testing.churn import TARGET
from everfit.wiring import tracking_uri

AT = datetime(2026, 1, 1, tzinfo=UTC)
AGE = ColumnDrift("age", "kolmogorov_smirnov", 0.31, 0.0, 0.0, 0.31, True)
DRIFT = DriftReport(500, AT, AT, (AGE, replace(AGE, column="plan", drifted=False)), AGE, 0.001, 0.02)
JUDGED = PerformanceReport("roc_auc", 0.8, None, None, 0.84, 600, 0.75, False, 0.001, 0.81, float("nan"))
EMPTY = MonitorReport(AT, 500, None, None, None, (), Decision(AT, False, None, ()), version=3)
FULL = replace(EMPTY, drift=DRIFT, performance=JUDGED)


def test_the_usual_names_are_there_and_what_is_no_number_is_not() -> None:
    found = tracking.figures(FULL)
    assert found["production_accuracy"] == 0.81
    assert found["drift_score"] == 0.5
    assert found["predictions_count"] == 500
    assert found["production_roc_auc"] == 0.8
    assert found.keys().isdisjoint({"production_accuracy_estimated", "production_roc_auc_low"})


class Kept:
    """A Tracker that keeps what it is told, or is away."""

    def __init__(self, away: bool = False) -> None:
        self.told: list[tuple[int, int]] = []
        self._away = away

    def track(self, version: int, look: int, at: datetime, figures: Mapping[str, float]) -> None:
        if self._away:
            raise StorageError("no connection")
        self.told.append((version, look))


@pytest.mark.parametrize(("report", "told"), [(FULL, [(3, 2)]), (EMPTY, []), (replace(FULL, version=None), [])])
def test_a_look_that_found_something_is_tracked_by_its_number(
    tmp_path: Path, report: MonitorReport, told: list[tuple[int, int]]
) -> None:
    state, kept = SqliteState(tmp_path / "state.db"), Kept()
    for look in (EMPTY, report):
        state.append(monitoring.LOOKS, encode(look))
    tracking.track(kept, report, state, Told())
    assert kept.told == told


def test_a_tracker_that_is_away_is_told_and_stops_nothing(tmp_path: Path) -> None:
    state, told = SqliteState(tmp_path / "state.db"), Told()
    state.append(monitoring.LOOKS, encode(FULL))
    tracking.track(Kept(away=True), FULL, state, told)
    assert told.notes == ["the look is not in MLflow: no connection"]


def test_a_look_stands_in_the_projects_mlflow_unless_that_is_turned_off(released: SmallProject) -> None:
    from mlflow import MlflowClient

    workspace = released.open("monitoring.rows=300")
    for track in (True, False):
        looking = released.open("monitoring.rows=300", f"monitoring.track={str(track).lower()}")
        looking.predict(customers(400, seed=5, first=20_000).drop(TARGET))
        looking.monitor()
    client = MlflowClient(tracking_uri(workspace.ports))
    experiment = client.get_experiment_by_name("churn")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.stage = 'monitoring'")
    assert run.data.metrics["predictions_count"] == 400
    assert len(client.get_metric_history(run.info.run_id, "drift_score")) == 1
