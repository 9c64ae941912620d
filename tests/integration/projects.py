"""A small churn project, and what one does with it from outside: commands in this process or in one of their own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

import everfit
from everfit.cli import main
from everfit.flow import ledger
from everfit.flow.run import runs
from everfit.project.load import load
from everfit.records.model import Manifest
from everfit.records.release import LedgerEvent
from everfit.records.run import RunRecord
from everfit.testing import churn
from everfit.training.bundle import open_bundle
from everfit.workspace import Workspace

START = datetime(2025, 1, 1, tzinfo=UTC)
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("EVERFIT_")},
    "PYTHONPATH": str(Path(everfit.__file__).parents[1]),
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONUNBUFFERED": "1",
}
SETTINGS = """\
project: churn
data:
  source: customers.csv
  target: {column: churn, positive: "Yes"}
  entity: customer_id
  exclude: [event_timestamp]
training:
  models: [logistic]
  budget: {trials: 2, folds: 2}
  executor: serial
gates: {roc_auc: 0.6, not_worse_than: production}
"""
CHECKS = """\
checks:
  - {column: tenure, min: 0, max: 120}
  - {column: monthly_charges, min: 0, max: 1000}
"""


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class SmallProject:
    """A project in a folder of its own."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "everfit.yaml"

    @property
    def store(self) -> Path:
        """Where all that is stored lies."""
        return self.folder / ".everfit" / "dev"

    @property
    def table(self) -> Path:
        return self.folder / "customers.csv"

    def edit(self, old: str, new: str) -> None:
        """Changes the project file."""
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    def call(self, *arguments: str) -> Outcome:
        """`everfit ARGUMENTS` in this process."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main.call([arguments[0], "--project", str(self.file), *arguments[1:]])
        return Outcome(code, out.getvalue(), err.getvalue())

    def start(self, *arguments: str, before: str = "") -> subprocess.Popen[str]:
        """`everfit ARGUMENTS` as a process that leads a group of its own; it runs the code `before` first."""
        return subprocess.Popen(
            [sys.executable, "-c", f"{before}\nfrom everfit.cli.main import main; main()", *arguments],
            cwd=self.folder,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def open(self, *overrides: str) -> Workspace:
        """The project from Python, with the settings changed."""
        return Workspace(load(self.file, None, overrides))

    def open_manifest(self, version: int = 1) -> Manifest:
        """What a registered version says of itself."""
        ports = self.open().ports
        folder = ports.artifacts.get(ledger.versions(ports.state)[version].bundle_hash)
        assert folder is not None
        return open_bundle(folder)

    def runs(self) -> list[RunRecord]:
        """All run records."""
        return runs(self.open().ports.state)

    def events(self) -> list[LedgerEvent]:
        """The ledger, its chain verified."""
        return ledger.events(self.open().ports.state)


def finish(process: subprocess.Popen[str], seconds: float = 600) -> Outcome:
    """Waits for the process."""
    out, err = process.communicate(timeout=seconds)
    return Outcome(process.returncode, out, err)


def customers(rows: int, seed: int = 3, first: int = 0) -> pl.DataFrame:
    """Customers as the file of a project has them."""
    return churn.customers(rows, seed=seed, start=START, days=90, first=first)


def write(folder: Path, rows: int = 800, settings: str = SETTINGS) -> SmallProject:
    """A project that was never run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "everfit.yaml").write_text(settings)
    customers(rows).write_csv(folder / "customers.csv")
    return SmallProject(folder)
