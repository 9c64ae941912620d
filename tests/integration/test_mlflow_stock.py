"""What MLflow's own clients see of a project: a process that knows no project loads, scores and looks around."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from everfit.flow.scaffold import scaffold
from everfit.flow.survey import survey
from everfit.testing.churn import ENTITY, TARGET
from tests.integration import projects
from tests.integration.projects import ENVIRONMENT, SmallProject

# Pandas and MLflow alone, as somebody would write it who has never heard of the project.
SCORES = """
import sys, mlflow, pandas
uri, model, table = sys.argv[1:]
mlflow.set_tracking_uri(uri)
loaded = mlflow.pyfunc.load_model(f"models:/{model}")
print(loaded.predict(pandas.read_csv(table)).to_json(orient="records"))
"""
LOOKS = """
import json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
version = client.get_model_version_by_alias("churn", "production")
run = client.get_run(version.run_id)
info = mlflow.models.get_model_info("models:/churn@production")
print(json.dumps({
    "experiment": client.get_experiment(run.info.experiment_id).name,
    "status": run.info.status,
    "description": version.description,
    "version_tags": version.tags,
    "tags": run.data.tags,
    "params": run.data.params,
    "metrics": run.data.metrics,
    "artifacts": [f.path for folder in ("", "pictures") for f in client.list_artifacts(run.info.run_id, folder)],
    "inputs": info.signature.inputs.input_names(),
    "outputs": info.signature.outputs.input_names(),
    "example": info.saved_input_example_info is not None,
}))
"""


def stock(code: str, *arguments: object, folder: Path) -> Any:
    """What the program prints, run in a folder without a project."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def uri(project: SmallProject) -> str:
    return f"sqlite:///{project.store / 'mlflow.db'}"


def test_a_stock_client_scores_a_pandas_frame_as_the_project_does(released: SmallProject, tmp_path: Path) -> None:
    table = tmp_path / "customers.csv"
    projects.customers(40, seed=5, first=20_000).drop(TARGET).write_csv(table)
    found = stock(SCORES, uri(released), "churn@production", table, folder=tmp_path / "elsewhere")
    own = released.open().predict(pl.read_csv(table, infer_schema=False))
    assert [row["prediction"] for row in found] == own["prediction"].to_list()
    assert [row["score"] for row in found] == pytest.approx(own["score"].to_list(), abs=1e-9)


def test_a_stock_client_finds_all_that_a_version_was_made_of(released: SmallProject, tmp_path: Path) -> None:
    found = stock(LOOKS, uri(released), folder=tmp_path / "elsewhere")
    assert (found["experiment"], found["status"]) == ("churn", "FINISHED")
    assert "logistic" in found["description"]
    assert found["version_tags"]["validation_status"] == "passed"
    assert found["tags"].items() >= {"project": "churn", "stage": "training", "framework": "logistic"}.items()
    assert found["params"].items() >= {"family": "logistic", "rows": "800", "seed": "42"}.items()
    assert {"test_roc_auc", "train_accuracy", "cv_mean_roc_auc", "cv_std_roc_auc"} <= found["metrics"].keys()
    assert float(found["version_tags"]["test_roc_auc"]) == pytest.approx(found["metrics"]["test_roc_auc"], rel=1e-5)
    pictures = {f"pictures/{name}.png" for name in ("confusion_matrix", "roc_curve", "calibration")}
    reports = ("feature_importance.csv", "classification_report.txt")
    assert {"card.md", "card.html", "card.json", *reports, "pictures/feature_importance.png", *pictures} <= set(
        found["artifacts"]
    )
    assert {ENTITY, "tenure", "contract_type"} <= set(found["inputs"])
    assert TARGET not in found["inputs"]
    assert found["outputs"][:2] == ["prediction", "score"]
    assert found["example"]


def test_aliases_follow_a_release_a_promotion_and_a_rollback(released: SmallProject) -> None:
    assert aliases(released) == {"production": 1}
    assert released.call("run", "--set=training.seed=7", "--set=gates.not_worse_than=null").code == 0
    assert released.call("release").code == 0
    assert aliases(released) == {"production": 1, "staging": 2}
    assert released.call("rollback").code == 0
    assert aliases(released) == {"production": 1}
    assert released.call("release", "2", "--force", "--set=release.strategy=immediate").code == 0
    assert aliases(released) == {"production": 2, "archived": 1}
    assert released.call("rollback").code == 0
    assert aliases(released)["production"] == 1


def aliases(project: SmallProject) -> dict[str, int]:
    from mlflow import MlflowClient

    found: dict[str, int] = MlflowClient(uri(project)).get_registered_model("churn").aliases
    return found


def test_mlflow_run_trains_the_project_and_shows_its_trials(project: Callable[..., SmallProject]) -> None:
    made = project()
    text = scaffold("churn", "customers.csv", survey(pl.read_csv(made.table, infer_schema=False), TARGET))["MLproject"]
    (made.folder / "MLproject").write_text(text)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", "run", ".", "--env-manager", "local", "-P", "set=training.budget.trials=3"],
        cwd=made.folder, env={**ENVIRONMENT, "PATH": path}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    nested = trials(made)
    assert {run.data.tags["trial"] for run in nested} <= {"complete", "pruned"}
    complete = [run.data for run in nested if run.data.tags["trial"] == "complete"]
    best = max(run.metrics["cv_mean_roc_auc"] for run in complete)
    assert best == pytest.approx(made.open_manifest().evaluation.cv["mean_roc_auc"])
    assert {run.params["family"] for run in complete} == {"logistic"}


def trials(project: SmallProject) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(uri(project))
    run = client.get_run(str(client.get_model_version("churn", "1").run_id))
    return list(client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"))
