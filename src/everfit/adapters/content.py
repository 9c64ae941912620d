"""The content hash of a folder: the same files under the same names give the same hash, wherever they lie."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from everfit.errors import StorageError


def files(folder: Path) -> list[str]:
    """The relative POSIX paths of the files below the folder, sorted.

    Raises StorageError for links, devices and the like, which a copy would not hold faithfully."""
    found = sorted(folder.rglob("*"))
    odd = [path for path in found if path.is_symlink() or not (path.is_file() or path.is_dir())]
    if odd or not folder.is_dir():
        what = "is a link or no regular file" if odd else "is not a folder"
        raise StorageError(what, where=str((*odd, folder)[0]), fix="store a folder of regular files")
    return sorted(path.relative_to(folder).as_posix() for path in found if path.is_file())


def digest(folder: Path, names: Sequence[str]) -> str:
    """The SHA-256 over the list of (name, SHA-256 of the bytes), in the order of the names."""
    return hashlib.sha256(json.dumps([(name, _file(folder / name)) for name in names]).encode()).hexdigest()


def copy(folder: Path, names: Sequence[str], to: Path) -> None:
    """Copies the files into the new folder `to`: their bytes, not their modes."""
    to.mkdir()
    for name in names:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, to / name)


def moved(folder: Path, to: Path) -> bool:
    """Renames the folder to `to`; false when it lies on another file system, where that cannot be."""
    try:
        folder.rename(to)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True


def _file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
