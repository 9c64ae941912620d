"""MLflow's SQLite file: made whole or not at all, written by one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

_SCHEME = "sqlite:///"


@contextmanager
def held(mlflow: Any, uri: str) -> Iterator[None]:
    """The file behind the URI, there and held against other processes; nothing for a server, which does its own
    locking."""
    if not uri.startswith(_SCHEME):
        yield
        return
    path = Path(uri.removeprefix(_SCHEME))
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
