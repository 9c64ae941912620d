"""The content hash of a folder: the same files under the same names give the same hash, wherever they lie."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from everfit.errors import StorageError


def files(folder: Path) -> list[str]:
    """The relative POSIX paths of the files below the folder, sorted.

    Raises StorageError for links, devices and the like, which a copy would not hold faithfully."""
    if not folder.is_dir():
        raise _refused("is not a folder", str(folder))
    return sorted(_below(str(folder), ""))


def digest(folder: Path, names: Sequence[str]) -> str:
    """The SHA-256 over the list of (name, SHA-256 of the bytes), in the order of the names."""
    hashes = [(name, _file(os.path.join(folder, name))) for name in names]  # noqa: PTH118  # a Path takes as long
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def copy(folder: Path, names: Sequence[str], to: Path) -> None:
    """Copies the files into the new folder `to`: their bytes, not their modes."""
    to.mkdir()
    for name in names:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, to / name)


def moved(folder: Path, to: Path) -> bool:
    """Whether the folder's content is at `to` now: renamed to it, or put there by another writer who was first; false
    when it lies on another file system, where that cannot be."""
    try:
        folder.rename(to)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    return True


def _below(folder: str, inside: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, f"{inside}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield inside + entry.name
            else:
                raise _refused("is a link or no regular file", entry.path)


def _refused(what: str, where: str) -> StorageError:
    return StorageError(what, where=where, fix="store a folder of regular files")


def _file(path: str) -> str:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # see `digest`
        return hashlib.file_digest(file, "sha256").hexdigest()
