"""MLflow's store: what goes wrong in it in plain words; a SQLite file is made whole or not at all, and written by one
process at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from everfit.errors import EverfitError, StorageError

_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "WARNING", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}
_SCHEME = "sqlite:///"


def settle() -> None:
    """Makes MLflow quiet where the environment does not say otherwise. The run that `mlflow run` opens around this
    process is its own, often in another store: MLflow must not take it for the one that is logged here."""
    os.environ |= _QUIET | os.environ.copy()
    os.environ.pop("MLFLOW_RUN_ID", None)


@contextmanager
def held(mlflow: Any, uri: str) -> Iterator[None]:
    """The store behind the URI: a file is there, and held against other processes; a server does its own locking.

    Raises StorageError for whatever MLflow raises meanwhile, in one line."""
    path = Path(uri.removeprefix(_SCHEME)) if uri.startswith(_SCHEME) else None
    try:
        with _file(mlflow, path) if path else nullcontext():
            yield
    except EverfitError:
        raise
    except Exception as error:
        raise StorageError(
            f"MLflow failed: {type(error).__name__}: {str(error).partition(chr(10))[0]}",
            where=str(path or "backends.tracking"),
            fix="see that it can be reached and written and that the disk has room, then run again",
        ) from error


@contextmanager
def _file(mlflow: Any, path: Path) -> Iterator[None]:
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            _create(mlflow, path)
        yield


def _create(mlflow: Any, path: Path) -> None:
    # MLflow cannot go on with a file whose creation was interrupted, so it is not called by its name until it is done.
    unfinished = path.with_name(f"{path.name}.unfinished")
    for left in path.parent.glob(f"{unfinished.name}*"):
        left.unlink()
    mlflow.MlflowClient(f"{_SCHEME}{unfinished}").search_experiments()
    unfinished.rename(path)
