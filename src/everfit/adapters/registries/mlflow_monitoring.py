"""What the looks at production found, as runs in MLflow beside those of training: one run a version, a point a look.

No extra; `monitoring.track` turns it off. A run is named `monitoring version N`, has the tags `stage: monitoring` and
`version: N`, and its metrics over time are the looks. Limits: MLflow keeps every point, some hundred bytes each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from everfit.adapters.registries.mlflow_client import MlflowConfig, experiment, opened


@dataclass(frozen=True)
class MlflowTracker:
    """The Tracker port over an MLflow client."""

    config: MlflowConfig

    def track(self, version: int, look: int, at: datetime, figures: Mapping[str, float]) -> None:
        """Adds the figures of a look to the version's run. StorageError when MLflow cannot be written."""
        with opened(self.config.uri) as (mlflow, client):
            run = self._run(client, version)
            moment = int(1000 * at.timestamp())
            metrics = [mlflow.entities.Metric(name, value, moment, look) for name, value in figures.items()]
            client.log_batch(run, metrics)

    def _run(self, client: Any, version: int) -> str:
        tags = {"project": self.config.model, **self.config.tags}
        within = experiment(client, self.config, tags)
        of = f"tags.stage = 'monitoring' and tags.version = '{version}'"
        for found in client.search_runs([within], of, max_results=1):
            return str(found.info.run_id)
        about = {"stage": "monitoring", "version": str(version), "mlflow.runName": f"monitoring version {version}"}
        run = client.create_run(within, tags={**tags, **about})
        client.set_terminated(run.info.run_id)  # nothing runs; a finished run takes metrics all the same
        return str(run.info.run_id)
