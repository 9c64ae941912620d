"""Released bundles as files in a folder: for whatever takes a model from a disk, a mounted bucket or a shared drive.

No extra; `release: {target: {folder: deploy/production}}`, as a rule in each environment. ROOT/churn-v3/ is a bundle,
ROOT/current.json names the one to use, with its version and hash; both appear by one rename, so that a reader finds
the old one or the new one, whole. Limits: regular files; what reads it looks at `current.json` by itself.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from everfit.adapters.content import copy, digest, files
from everfit.adapters.incoming import sweep, temporary
from everfit.errors import StorageError
from everfit.records.release import Deployed

POINTER = "current.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,200}-v[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class FolderTargetConfig:
    """The folder, which is made where missing."""

    root: Path


class FolderTarget:
    """A Target in a folder. Every method raises StorageError when the disk is full or the folder not writable."""

    def __init__(self, config: FolderTargetConfig) -> None:
        self._root = config.root
        self._incoming = config.root / ".incoming"

    def put(self, name: str, bundle: Path, content: str) -> None:
        """Makes the bundle be there under the name, with that content hash; one that was damaged is replaced."""
        with self._changing():
            place = self._place(name)
            if place.is_dir() and _hash(place) == content:
                return
            with temporary(self._incoming) as new:
                copy(bundle, files(bundle), new)
                if _hash(new) != content:
                    raise StorageError(
                        "the bundle was changed on disk while it was copied", where=str(bundle), fix="release it again"
                    )
                if place.exists():
                    shutil.rmtree(place)
                new.rename(place)

    def point(self, deployed: Deployed) -> None:
        """Makes a deployment that is there the current one, unless that is of a later release."""
        with self._changing():
            if not self._place(deployed.name).is_dir():
                raise StorageError("there is no such deployment", where=str(self._place(deployed.name)), fix="put it")
            before = self.current()
            if before is not None and before.release > deployed.release:
                return
            with temporary(self._incoming) as new:
                new.write_text(json.dumps(asdict(deployed), indent=2) + "\n", encoding="utf-8")
                new.replace(self._root / POINTER)

    def current(self) -> Deployed | None:
        """What `current.json` names; None before the first, and where it is no longer readable."""
        try:
            with _told(self._root):
                return Deployed(**json.loads((self._root / POINTER).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def keep(self, names: Collection[str]) -> None:
        """Removes every deployment but these and the current one."""
        with self._changing():
            current = self.current()
            kept = {*names, *([current.name] if current else [])}
            for place in self._root.iterdir():
                if place.is_dir() and _NAME.fullmatch(place.name) and place.name not in kept:
                    shutil.rmtree(place)

    def _place(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise StorageError(f"{name!r} is no name of a deployment", where=str(self._root), fix="name it churn-v3")
        return self._root / name

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One at a time, whoever else delivers here."""
        with _told(self._root):
            self._incoming.mkdir(parents=True, exist_ok=True)
            with FileLock(self._root / ".lock"):
                sweep(self._incoming)
                yield


@contextmanager
def _told(root: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(
            f"the model cannot be delivered: {error.strerror or error}",
            where=str(error.filename or root),
            fix="free disk space, or make the folder of `release.target` writable",
        ) from error


def _hash(folder: Path) -> str:
    return digest(folder, files(folder))
