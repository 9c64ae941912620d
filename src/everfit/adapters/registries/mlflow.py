"""MLflow 3 as tracker and registry. The bundle is a `python_function` model with a loader: nothing is pickled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from everfit.adapters.registries.mlflow_aliases import show, shown
from everfit.adapters.registries.mlflow_client import MlflowConfig, experiment, opened
from everfit.adapters.registries.mlflow_shape import shape
from everfit.adapters.registries.mlflow_trials import log_trials
from everfit.records.model import Manifest, ModelVersion, TrialRun


@dataclass(frozen=True)
class MlflowRegistry:
    """The Registry port over an MLflow client."""

    config: MlflowConfig

    def add(self, bundle: Path, digest: str, manifest: Manifest, trials: Sequence[TrialRun] = ()) -> ModelVersion:
        """Logs a run with the bundle as its model and registers that as the next version, once a bundle.

        The trials are logged before anything is registered: what fails among them leaves no version behind."""
        with opened(self.config.uri) as (mlflow, client):
            if digest in (known := {found.bundle_hash: found for found in self._search(client)}):
                return known[digest]
            run_id, source = self._log(mlflow, client, bundle, digest, manifest, trials)
            if not (known or client.search_registered_models(f"name = '{self.config.model}'")):
                client.create_registered_model(self.config.model, {"project": manifest.model})
            tags = {f"test_{name}": f"{value:.6g}" for name, value in manifest.evaluation.test.items()}
            tags |= {"bundle": digest, "dataset": manifest.lineage.dataset.fingerprint, "validation_status": "passed"}
            return _version(client.create_model_version(self.config.model, source, run_id, tags, None, manifest.title))

    def versions(self) -> list[ModelVersion]:
        """All versions, oldest first."""
        with opened(self.config.uri) as (_, client):
            return self._search(client)

    def aliases(self) -> Mapping[str, int]:
        """What the aliases of the ledger's names are at now."""
        with opened(self.config.uri) as (_, client):
            return shown(client, self.config.model)

    def mirror(self, aliases: Mapping[str, int], stages: Mapping[int, str]) -> None:
        """Sets aliases and tags, and removes those of the ledger's names that are not among them."""
        with opened(self.config.uri) as (_, client):
            show(client, self.config.model, aliases, stages)

    def _search(self, client: Any) -> list[ModelVersion]:
        name = f"name = '{self.config.model}'"
        return [_version(one) for one in client.search_model_versions(name, order_by=["version_number ASC"])]

    def _log(
        self, mlflow: Any, client: Any, bundle: Path, digest: str, manifest: Manifest, trials: Sequence[TrialRun]
    ) -> tuple[str, str]:
        """The id of a new run that holds everything about the training, and the address of its model."""
        tags = {"project": manifest.model, **self.config.tags}
        identity = experiment(client, self.config, tags)
        for left in client.search_runs([identity], f"tags.bundle = '{digest}' and attributes.status = 'RUNNING'"):
            client.set_terminated(left.info.run_id, "KILLED")  # as its process was: the bundle never became a version
        tags |= {"framework": manifest.family, "stage": "training", "bundle": digest}
        with mlflow.start_run(experiment_id=identity, run_name=manifest.family, tags=tags) as run:
            mlflow.log_params(dict(manifest.parameters))
            mlflow.log_metrics(dict(manifest.metrics))
            log_trials(mlflow, client, run, trials)
            for path in (p for p in bundle.iterdir() if p.stem in ("card", "pictures") or p.suffix in (".csv", ".txt")):
                mlflow.log_artifact(str(path))
            logged = mlflow.pyfunc.log_model(
                name="model",
                loader_module="everfit.serving.pyfunc",
                data_path=str(bundle),
                pip_requirements=[f"{name}=={installed(name)}" for name in ("everfit", "numpy", "polars", "skops")],
                **shape(mlflow, manifest),
            )
        return str(run.info.run_id), str(logged.model_uri)


def _version(found: Any) -> ModelVersion:
    tags = dict(found.tags)
    metrics = {k.removeprefix("test_"): float(v) for k, v in tags.items() if k.startswith("test_")}
    at = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
    return ModelVersion(found.name, int(found.version), tags.get("bundle", ""), found.run_id, at, metrics, tags)
