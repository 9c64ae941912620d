"""What a command imports: each library only where it is needed, so that everything starts at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

import pytest

import everfit
from everfit.testing.churn import ENTITY, POSITIVE, TARGET, TIME, customers
from everfit.workspace import load

PROJECT = f"""\
project: churn
data:
  source: customers.csv
  target: {{column: {TARGET}, positive: "{POSITIVE}"}}
  entity: {ENTITY}
  exclude: [{TIME}]
training: {{models: [logistic], budget: {{trials: 1, folds: 2}}, executor: serial}}
release: immediate
"""
COMMAND = "from everfit.cli.main import main; main()"
# Written at exit, for a command ends its process itself.
TELL = """
import atexit, json, sys
def tell():
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
atexit.register(tell)
"""
TRAINING = (
    *("sklearn", "skops", "xgboost", "lightgbm", "catboost", "optuna", "joblib", "matplotlib", "pandas", "pyarrow"),
    *("scipy.stats", "scipy.optimize", "scipy.special"),
)
SERVING = ("fastapi", "starlette", "uvicorn", "prometheus_client")


def imported(code: str, *arguments: str, folder: Path) -> set[str]:
    """The modules that the code has imported when it ends."""
    environment = {**os.environ, "PYTHONPATH": str(Path(everfit.__file__).parents[1])}
    command = [sys.executable, "-c", TELL + code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def among(found: set[str], libraries: Collection[str]) -> list[str]:
    return sorted(library for library in libraries if library in found)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project with a released version."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "everfit.yaml").write_text(PROJECT, encoding="utf-8")
    customers(400, 1, datetime(2025, 1, 1), 90).write_csv(folder / "customers.csv")  # noqa: DTZ001  # files have no zone
    workspace = load(folder / "everfit.yaml")
    workspace.run()
    return folder


@pytest.fixture(scope="module")
def released(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it whose version is released, and compared with itself."""
    folder = tmp_path_factory.mktemp("released") / "project"
    shutil.copytree(trained, folder)
    workspace = load(folder / "everfit.yaml")
    workspace.release()
    workspace.run()  # whose gates look at the champion for the first time
    return folder


def test_importing_everfit_imports_no_library(tmp_path: Path) -> None:
    found = imported("import everfit", folder=tmp_path)
    assert "everfit" in found
    assert among(found, ("numpy", "polars", "pydantic", "mlflow", "click", "yaml")) == []


def test_help_imports_nothing_that_a_command_needs(tmp_path: Path) -> None:
    found = imported(COMMAND, "--help", folder=tmp_path)
    libraries = ("numpy", "polars", "pydantic", "mlflow", "yaml", "scipy", *TRAINING, *SERVING)
    assert among(found, libraries) == []


def test_a_run_in_which_nothing_changed_imports_nothing_that_reads_tables_trains_or_serves(trained: Path) -> None:
    found = imported(COMMAND, "run", folder=trained)
    assert "everfit.flow.training" in found
    libraries = ("numpy", "polars", "scipy", "llvmlite", "mlflow", "sqlalchemy", "filelock", *TRAINING, *SERVING)
    assert among(found, libraries) == []
    assert {name for name in found if name.startswith("everfit.flow.steps.")} == {"everfit.flow.steps.registration"}


def test_nor_does_it_train_or_serve_where_a_champion_is_compared_with(released: Path) -> None:
    found = imported(COMMAND, "run", folder=released)
    assert among(found, ("llvmlite", "mlflow", "sqlalchemy", "filelock", *TRAINING, *SERVING)) == []


@pytest.mark.parametrize("command", ["status", "history", "config"])
def test_a_command_that_only_looks_imports_nothing_that_trains_or_serves(released: Path, command: str) -> None:
    found = imported(COMMAND, command, folder=released)
    assert "everfit.workspace" in found or command == "config"
    assert among(found, ("mlflow", "sqlalchemy", *TRAINING, *SERVING)) == []


def test_scoring_rows_imports_neither_the_registry_nor_the_server(released: Path) -> None:
    found = imported(COMMAND, "predict", "customers.csv", "--output", "scores.parquet", folder=released)
    assert "polars" in found
    assert among(found, ("mlflow", "sqlalchemy", "matplotlib", "fastapi", "uvicorn")) == []


def test_the_server_imports_nothing_that_trains_or_registers(tmp_path: Path) -> None:
    found = imported("import everfit.service", folder=tmp_path)
    assert among(found, ("mlflow", "sqlalchemy", *TRAINING)) == []
