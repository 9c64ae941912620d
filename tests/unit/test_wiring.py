"""From settings to adapters: each by its name, each in the environment's own folder, each only when it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.projects import ENVIRONMENT

from everfit import wiring
from everfit.adapters.alerts.console import ConsoleAlerts
from everfit.adapters.alerts.webhook import WebhookAlerts
from everfit.adapters.executors.processes import ProcessesExecutor
from everfit.adapters.executors.ray import RayExecutor
from everfit.adapters.executors.serial import SerialExecutor
from everfit.adapters.sources.csv import CsvSource
from everfit.adapters.sources.parquet import ParquetSource
from everfit.errors import ProjectError
from everfit.project.load import load
from everfit.wiring import Ports
from everfit.wiring.sources import source

FILE = """\
project: churn
data: {source: customers.csv, target: churn}
environments:
  production: {training: {executor: serial}, backends: {tracking: "http://127.0.0.1:5000"}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "everfit.yaml").write_text(FILE)
    return tmp_path


def ports(folder: Path, environment: str | None = None, *overrides: str) -> Ports:
    return Ports(load(folder / "everfit.yaml", environment, overrides))


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("customers.csv", CsvSource),
        ("CUSTOMERS.CSV", CsvSource),
        ("customers-*.tsv", CsvSource),
        ("/data/customers.txt", CsvSource),
        ("customers.parquet", ParquetSource),
        ("lake/*.pq", ParquetSource),
    ],
)
def test_a_source_is_known_by_its_ending(address: str, kind: type) -> None:
    assert type(source(Path("/project"), address)) is kind


def test_a_source_lies_beside_the_project_file_unless_its_path_is_absolute() -> None:
    assert source(Path("/project"), "data/c.csv") == CsvSource("/project/data/c.csv")
    assert source(Path("/project"), "/data/c.csv") == CsvSource("/data/c.csv")


@pytest.mark.parametrize("address", ["customers.xlsx", "customers", "ftp://host/customers.csv", ""])
def test_a_source_that_nothing_reads_is_refused_with_what_is_read(address: str) -> None:
    with pytest.raises(ProjectError, match=r"nothing here reads(.|\n)*\.csv, .*\.parquet"):
        source(Path("/project"), address)


def test_every_environment_has_stores_of_its_own(folder: Path) -> None:
    dev, production = ports(folder), ports(folder, "production")
    dev.state.append("stream", b"{}")
    assert dev.state.last("stream") == (1, b"{}")
    assert production.state.last("stream") is None
    assert {dev.folder.name, production.folder.name} == {"dev", "production"}
    assert dev.folder.parent == folder / ".everfit"


def test_tracking_is_a_file_of_the_environment_unless_the_project_names_a_server(folder: Path) -> None:
    assert wiring.tracking_uri(ports(folder)) == f"sqlite:///{folder}/.everfit/dev/mlflow.db"
    assert wiring.tracking_uri(ports(folder, "production")) == "http://127.0.0.1:5000"


def test_an_adapter_is_made_once(folder: Path) -> None:
    made = ports(folder)
    for name in ("source", "artifacts", "state", "registry", "online", "labels", "log", "executor", "channels"):
        assert getattr(made, name) is getattr(made, name)


def test_the_executor_is_the_one_that_the_project_names(folder: Path) -> None:
    assert isinstance(ports(folder, "production").executor, SerialExecutor)
    for settings, workers in (("training.workers=3",), 3), ((), wiring.cores()):
        found = ports(folder, None, *settings).executor
        assert isinstance(found, ProcessesExecutor)
        assert found.workers == workers
        assert found.patience > 0
    assert ports(folder, None, "training.executor=ray", "training.workers=2").executor == RayExecutor("local", 2)
    assert ports(folder, None, "training.executor=ray://head:10001").executor == RayExecutor("ray://head:10001")


def test_a_cluster_is_sent_the_projects_own_estimators(folder: Path) -> None:
    (folder / "mine.py").write_text("class Model: ...\n")
    made = ports(folder, None, "training.executor=ray://head:10001", "training.models=[{name: a, class: mine.Model}]")
    assert made.executor == RayExecutor("ray://head:10001", modules=(str((folder / "mine.py").absolute()),))


def test_alarms_go_to_the_console_unless_the_project_says_where(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "https://example.org/hook")
    assert ports(folder).channels == {"console": ConsoleAlerts()}
    console, webhook = ports(folder, None, "alerts=[console, {webhook: '${HOOK}'}]").channels.values()
    assert isinstance(console, ConsoleAlerts)
    assert isinstance(webhook, WebhookAlerts)


def test_a_webhook_without_an_address_is_refused(folder: Path) -> None:
    with pytest.raises(ProjectError, match="a webhook needs a URL"):
        _ = ports(folder, None, "alerts=[webhook]").channels


def test_opening_a_project_makes_no_file_and_imports_no_adapter_and_no_heavy_library(folder: Path) -> None:
    code = "import everfit, sys, json; everfit.load('everfit.yaml'); print(json.dumps(sorted(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], cwd=folder, env=ENVIRONMENT, capture_output=True, check=True)
    loaded = set(json.loads(said.stdout))
    assert not loaded & {"mlflow", "sklearn", "pandas", "xgboost", "matplotlib", "scipy", "uvicorn", "fastapi"}
    assert [name for name in loaded if name.startswith("everfit.adapters.")] == []
    assert [path.name for path in folder.iterdir()] == ["everfit.yaml"]
