"""Started as a process, it imports all that `everfit run` needs once, then forks an `everfit` for each line it is sent.

A line is JSON: the arguments, and the file for what is written to standard error. It answers with the process id, which
is that of a process group too, and, when that process is gone, with its exit code or minus the signal. It starts no
thread and touches no table itself, so that a fork is as good as a process of its own.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
from pathlib import Path

_NEEDED = (
    "everfit.workspace",
    "everfit.cli.main",
    "everfit.cli.run",
    "everfit.flow.training",
    "everfit.adapters.artifacts.folder",
    "everfit.adapters.executors.processes",
    "everfit.adapters.executors.serial",
    "everfit.adapters.features.sqlite",
    "everfit.adapters.registries.mlflow",
    "everfit.adapters.sources.csv",
    "everfit.adapters.state.sqlite",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "mlflow.pyfunc",
    "mlflow.genai",
    "mlflow.store.db.utils",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.artifact.local_artifact_repo",
    "alembic.command",
    "pandas",
    "rich.table",
    "sklearn.linear_model",
    "sklearn.metrics",
    "skops.io",
    "scipy.stats",
    "sqlalchemy.dialects.sqlite",
)
_STEPS = ("assessment", "features", "model", "publish", "registration", "table")


def _warm() -> None:
    """Imports, and reads the code that the steps reach, which a process does once."""
    for name in _NEEDED:
        importlib.import_module(name)
    identity = importlib.import_module("everfit.flow.code").identity
    for name in _STEPS:
        module = importlib.import_module(f"everfit.flow.steps.{name}")
        for function in vars(module).values():
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                identity(function, ("everfit",))


def _become(arguments: list[str], errors: str) -> None:
    os.setpgid(0, 0)
    for number, path in ((0, os.devnull), (1, os.devnull), (2, errors)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), number)
    code = importlib.import_module("everfit.cli.main").call(arguments)
    sys.stderr.flush()
    # Tearing down an interpreter that has imported so much takes longer than a cached run.
    os._exit(code)


def _serve() -> None:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_LOGGING_LEVEL"] = "CRITICAL"
    _warm()
    for line in sys.stdin:
        arguments, errors = json.loads(line)
        Path(errors).touch()
        pid = os.fork()
        if pid == 0:
            _become(arguments, errors)
        os.setpgid(pid, pid)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
