"""Somebody moves aliases and deletes versions with MLflow's own client; everfit notices at the next look."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient

from everfit.flow import ledger
from everfit.versions import reconcile
from everfit.wiring import tracking_uri
from tests.integration.projects import SmallProject

# Importing MLflow warns of its own type hints.
pytestmark = pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")


def test_what_was_done_by_hand_in_mlflow_is_found_and_put_right(released: SmallProject) -> None:
    workspace = released.open()
    client = MlflowClient(tracking_uri(workspace.ports))
    client.set_registered_model_alias("churn", "favourite", "1")
    assert reconcile(workspace) == ()

    client.delete_registered_model_alias("churn", "production")
    (alarm,) = reconcile(workspace)
    assert "the alias production was at version 1 and was removed by hand" in alarm.message
    shown = {name: int(version) for name, version in client.get_registered_model("churn").aliases.items()}
    assert shown == {"production": 1, "favourite": 1}
    assert client.get_model_version("churn", "1").tags["stage"] == "production"
    assert ledger.current(workspace.ports.state).champion == 1

    client.delete_model_version("churn", "1")
    messages = [alarm.message for alarm in reconcile(workspace)]
    assert any("version 1 is in use and was deleted in the registry" in message for message in messages)
