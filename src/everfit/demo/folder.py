"""The demo's folder: a project like any other, written anew by each demo and never over anybody's files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from everfit.errors import ProjectError, StorageError

MARK = "# Written by `everfit demo`, which replaces this folder when it runs again.\n"
PROJECT, FEATURES, TABLE, STATE = "everfit.yaml", "features.py", "customers.parquet", ".everfit"
REPORT = "report.html"
_OWN = frozenset({PROJECT, FEATURES, TABLE, STATE, REPORT})

_YAML = """\
project: churn-demo
data:
  source: customers.parquet
  target: {{column: churn, positive: "Yes", delay: 6d}}   # labels come six days after the prediction
  entity: customer_id
  time: event_timestamp
  split: {{test: 20%, by: time}}                          # the newest rows are the test
checks:
  - {{rows: {{min: 1000}}, class_share: 5%}}
  - {{column: customer_id, unique: true}}
  - {{column: age, min: 18, max: 120, nulls: 10%}}
  - {{column: monthly_charges, min: 0}}
  - {{column: contract_type, allowed: [Month-to-month, One year, Two year]}}
training:
  models: [{models}]
  budget: {{trials: {trials}, folds: {folds}}}
  seed: {seed}
gates: {{roc_auc: 0.72, not_worse_than: production}}
release: {{strategy: canary, steps: [10%, 50%]}}
serving:
  response: {{score: churn_probability, labels: {{"Yes": High Risk, "No": Low Risk}}}}
monitoring: {{every: 7d, rows: 500, alarms: 1/year}}    # one false alarm a year is accepted
retraining: {{on: [performance], cooldown: 1d}}         # drift alone retrains nothing: labels decide
alerts: [console]
"""

_FEATURES = '''\
"""Features: a function's name is the feature, its parameters are columns or other features."""

import numpy as np


def purchases_per_month(total_purchases, tenure):
    return total_purchases / np.maximum(tenure, 1)


def charges_above_usual(monthly_charges, total_charges, tenure):
    return monthly_charges - total_charges / np.maximum(tenure, 1)
'''


def prepare(folder: Path) -> bool:
    """Makes room for a demo; true when an earlier one was removed for it.

    Raises ProjectError, and removes nothing, when the folder holds anything that no demo wrote."""
    if not folder.exists():
        return False
    strangers = _strangers(folder)
    if strangers:
        raise ProjectError(
            f"the folder holds what no demo wrote: {', '.join(strangers[:3])}",
            where=str(folder),
            fix="name another folder with --into, or move these files away",
        )
    found = list(folder.iterdir())
    with _disk(folder):
        # The mark goes last, so that a demo stopped here is known for one by the next.
        for path in sorted(found, key=lambda path: path.name == PROJECT):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return bool(found)


def write(folder: Path, seed: int, fast: bool) -> Path:
    """Writes the project and its features; returns the project file."""
    models = "logistic, gradient_boosting" if fast else "logistic, random_forest, gradient_boosting, xgboost"
    text = _YAML.format(models=models, trials=2 if fast else 4, folds=2 if fast else 3, seed=seed)
    with _disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PROJECT).write_text(MARK + text, encoding="utf-8")
        (folder / FEATURES).write_text(_FEATURES, encoding="utf-8")
    return folder / PROJECT


def _strangers(folder: Path) -> list[str]:
    """What in the folder is not a demo's: everything, when the project file is not a demo's."""
    if not folder.is_dir():
        return [folder.name]
    names = sorted(path.name for path in folder.iterdir())
    project = folder / PROJECT
    own = project.is_file() and project.read_text(encoding="utf-8", errors="replace").startswith(MARK)
    return [name for name in names if not own or name not in _OWN]


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the demo cannot be written: {error.strerror or error}",
            where=str(folder),
            fix="name another folder with --into, or make room and make this one writable",
        ) from error
