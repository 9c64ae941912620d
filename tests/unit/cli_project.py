"""A project as the commands find it, its stores filled without training, and a way to call the commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.serving_models import bundle, table

from everfit.cli import main
from everfit.flow import ledger, release
from everfit.project.load import load
from everfit.records.model import ModelVersion
from everfit.records.prediction import Label, PredictionRecord
from everfit.records.release import ReleaseState
from everfit.wiring import Ports

SETTINGS = """\
project: churn
data:
  source: customers.csv
  target: {column: Churn, positive: "Yes"}
  entity: customerID
  exclude: [risk, level]
training: {models: [logistic], budget: {trials: 1, folds: 2}, executor: serial}
release: canary
serving: {port: 0}
"""
NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> Answer:
    """Runs a command in this process."""
    capsys.readouterr()
    code = main.call(list(arguments))
    said = capsys.readouterr()
    return Answer(code, said.out, said.err)


def project(folder: Path, monkeypatch: pytest.MonkeyPatch, settings: str = SETTINGS) -> Ports:
    """A project in the folder, in which one then stands; nothing is stored yet."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("EVERFIT_ENV", raising=False)
    (folder / "everfit.yaml").write_text(settings, encoding="utf-8")
    table().write_csv(folder / "customers.csv")
    return Ports(load("everfit.yaml"))


def register(ports: Ports, version: int, real: bool = False) -> None:
    """Registers a version, its bundle a real one for the first, or where asked."""
    digest = ports.artifacts.put(bundle()) if version == 1 or real else f"{version}" * 64
    made = ModelVersion("churn", version, digest, "run", NOW, {"roc_auc": 0.84, "f1": 0.6})
    ledger.register(ports.state, made, "ann")


def start(ports: Ports, version: int | None = None) -> ReleaseState:
    """Releases the version, or the newest."""
    return release.start(ports.state, ports.loaded.project.release, "ann", version)


def predict(ports: Ports, count: int, version: int = 1, ago: timedelta = timedelta(minutes=5)) -> list[str]:
    """Logs predictions and returns their ids."""
    one = PredictionRecord("", NOW - ago, None, {}, {}, "champion", version, 0.5, "No", 0.01)
    records = [replace(one, id=f"{version}-{number}-{ago.days}") for number in range(count)]
    ports.log.append(records)
    return [record.id for record in records]


def label(ports: Ports, ids: list[str]) -> None:
    """Stores a truth about each."""
    ports.labels.put(Label(one, "Yes", NOW) for one in ids)
