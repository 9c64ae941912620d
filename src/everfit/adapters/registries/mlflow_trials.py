"""The trials of a search as runs nested in the run of the version that came of it."""

from __future__ import annotations

from collections.abc import Sequence
from time import time
from typing import Any

from everfit.records.model import TrialRun


def log_trials(mlflow: Any, client: Any, parent: Any, trials: Sequence[TrialRun]) -> None:
    """One run each, with the tags of the parent and its own, in three calls. The fluent interface takes a call for each
    parameter and each metric."""
    entities, inherited, now = mlflow.entities, parent.data.tags, int(1000 * time())
    for trial in trials:
        own = {"mlflow.parentRunId": parent.info.run_id, "mlflow.runName": trial.family, "framework": trial.family}
        tags = {**inherited, **own, "stage": "trial", "trial": trial.status.value}
        run_id = client.create_run(parent.info.experiment_id, tags=tags).info.run_id
        metrics = [entities.Metric(name, value, now, 0) for name, value in trial.metrics.items()]
        client.log_batch(run_id, metrics, [entities.Param(name, str(value)) for name, value in trial.params.items()])
        client.set_terminated(run_id)
