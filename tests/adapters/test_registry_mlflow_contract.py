from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from everfit.adapters.registries.mlflow import MlflowRegistry
from everfit.adapters.registries.mlflow_client import MlflowConfig
from everfit.adapters.registries.mlflow_monitoring import MlflowTracker
from everfit.errors import StorageError
from everfit.records.model import TrialRun, TrialStatus
from everfit.testing.contracts import RegistryContract, TrackerContract
from everfit.testing.contracts.registry import TRIALS, manifest
from everfit.testing.contracts.tracker import AT

# Importing MLflow warns of its own type hints.
pytestmark = pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")


class TestMlflowRegistry(RegistryContract):
    def make(self, folder: Path) -> MlflowRegistry:
        folder.mkdir(parents=True, exist_ok=True)
        return MlflowRegistry(
            MlflowConfig(f"sqlite:///{folder}/mlflow.db", "churn", "churn", (folder / "artifacts").as_uri())
        )

    def aliases(self, folder: Path) -> Mapping[str, int]:
        found = client(folder).get_registered_model("churn").aliases
        return {name: int(version) for name, version in found.items()}

    def trials(self, folder: Path, run_id: str) -> list[TrialRun]:
        of = f"tags.`mlflow.parentRunId` = '{run_id}'"
        return [
            TrialRun(tags["framework"], TrialStatus(tags["trial"]), run.data.params, run.data.metrics)
            for run in runs(folder, of)
            for tags in [run.data.tags]
        ]

    def test_nothing_is_registered_when_a_trial_cannot_be_logged(self, tmp_path: Path) -> None:
        registry, bundle = self.make(tmp_path / "registry"), tmp_path / "one"
        self.bundle(bundle, manifest())
        refused = replace(TRIALS[1], metrics={"no;name": 1.0})
        with pytest.raises(StorageError, match="MLflow failed"):
            registry.add(bundle, "one", manifest(), (TRIALS[0], refused))
        assert registry.versions() == []
        made = registry.add(bundle, "one", manifest(), TRIALS)
        assert registry.versions() == [made]
        assert runs(tmp_path / "registry", "attributes.status = 'RUNNING'") == []

    def test_run_of_a_program_around_is_not_taken_for_its_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
        assert self._add(self.make(tmp_path / "registry"), tmp_path / "one", "one").run_id != "0" * 32


class TestMlflowTracker(TrackerContract):
    def make(self, folder: Path) -> MlflowTracker:
        return MlflowTracker(
            MlflowConfig(f"sqlite:///{folder}/mlflow.db", "churn", "churn", tags={"team": "retention"})
        )

    def shown(self, folder: Path, version: int) -> Mapping[str, Sequence[tuple[int, datetime, float]]]:
        (run,) = runs(folder, f"tags.version = '{version}' and tags.stage = 'monitoring'")
        history = {name: client(folder).get_metric_history(run.info.run_id, name) for name in run.data.metrics}
        return {
            name: [(one.step, datetime.fromtimestamp(one.timestamp / 1000, UTC), one.value) for one in found]
            for name, found in history.items()
        }

    def test_the_run_is_named_and_ended_and_has_the_projects_tags(self, tmp_path: Path) -> None:
        self.make(tmp_path).track(3, 1, AT, {"drift_score": 0.1})
        (run,) = runs(tmp_path, "")
        assert (run.info.run_name, run.info.status) == ("monitoring version 3", "FINISHED")
        assert run.data.tags["team"] == "retention"


def client(folder: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def runs(folder: Path, query: str) -> list[Any]:
    """The runs of the experiment, oldest first."""
    found = client(folder)
    experiment = found.get_experiment_by_name("churn").experiment_id
    return list(found.search_runs([experiment], query, order_by=["attributes.start_time ASC"]))
