from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from everfit.adapters.registries.mlflow import MlflowConfig, MlflowRegistry
from everfit.testing.contracts import RegistryContract

# Importing MLflow warns of its own type hints.
pytestmark = pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")


class TestMlflowRegistry(RegistryContract):
    def make(self, folder: Path) -> MlflowRegistry:
        folder.mkdir(parents=True, exist_ok=True)
        return MlflowRegistry(
            MlflowConfig(f"sqlite:///{folder}/mlflow.db", "churn", "churn", (folder / "artifacts").as_uri())
        )

    def aliases(self, folder: Path) -> Mapping[str, int]:
        from mlflow import MlflowClient

        found = MlflowClient(f"sqlite:///{folder}/mlflow.db").get_registered_model("churn").aliases
        return {name: int(version) for name, version in found.items()}
