"""MLflow itself: where the store is, what things are called there, and a client of it that is quiet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from everfit.adapters.registries.mlflow_file import held, settle

_PAGES = {"mlflow.experimentKind": "custom_model_development"}  # which pages the user interface shows first


@dataclass(frozen=True)
class MlflowConfig:
    """Where MLflow is and what it should call things. `artifacts` is the URI of a SQLite store's artifacts."""

    uri: str
    experiment: str
    model: str
    artifacts: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def opened(uri: str) -> Iterator[tuple[Any, Any]]:
    """MLflow, quiet, without its usage reports to the outside, pointed at the store; and its client."""
    settle()
    import mlflow

    with held(mlflow, uri):
        mlflow.set_tracking_uri(uri)
        yield mlflow, mlflow.MlflowClient()


def experiment(client: Any, config: MlflowConfig, tags: Mapping[str, str]) -> str:
    """The id of the experiment, which is made with these tags where it is not there yet."""
    found = client.get_experiment_by_name(config.experiment)
    if found:
        return str(found.experiment_id)
    return str(client.create_experiment(config.experiment, config.artifacts, {**tags, **_PAGES}))
