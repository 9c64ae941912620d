"""A file written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from everfit.errors import StorageError


def write(path: Path, content: bytes | str, *, durable: bool = False, what: str = "the file") -> None:
    """The file with that content, text as UTF-8; its folder is made where missing. A reader, and whoever looks after a
    kill, finds the old content or the new.

    With `durable` it is there after a loss of power too, once this returns: two fsyncs. Raises StorageError, which says
    `what` could not be written, and then the old content stands.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.unfinished")
    data = content.encode() if isinstance(content, str) else content
    try:
        if not path.parent.exists():  # a file in its place says so when it is opened
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _fill(unfinished, data, durable)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        if durable:
            _sync(path.parent)
    except OSError as error:
        raise StorageError(
            f"{what} cannot be written: {error.strerror or error}",
            where=str(path),
            fix="free disk space, make the folder writable, or choose another",
        ) from error


def _fill(path: Path, data: bytes, durable: bool) -> None:
    with path.open("wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """The folder's own entries, so that the new name is not lost."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
