"""Temporary places inside a store, on its own file system, so that what is ready appears by one rename."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STALE = 86400.0  # seconds after which a writer on another machine is taken for dead


@contextmanager
def temporary(folder: Path) -> Iterator[Path]:
    """A path in the folder that nobody else uses, named after its writer; what is left there at the end is removed."""
    path = folder / f"{socket.gethostname()}~{os.getpid()}~{os.urandom(16).hex()}"
    try:
        yield path
    finally:
        _remove(path)


def sweep(folder: Path) -> None:
    """Removes what dead writers left."""
    for leftover in folder.iterdir():
        if _abandoned(leftover):
            _remove(leftover)


def _abandoned(leftover: Path) -> bool:
    """Whether its writer is dead: by its process on this machine, by age on another."""
    host, _, rest = leftover.name.partition("~")
    process = rest.partition("~")[0]
    try:
        if host == socket.gethostname() and process.isdigit():
            os.kill(int(process), 0)
        return time.time() - leftover.stat().st_mtime > _STALE
    except ProcessLookupError:
        return True
    except (FileNotFoundError, PermissionError):  # gone meanwhile, or alive under another user
        return False


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:  # the rule: it was renamed to where it belongs
        return
    except OSError:  # a folder
        shutil.rmtree(path, ignore_errors=True)
