"""Artifacts in a local folder: the default, needs no extra and no server.

ROOT/ab/abcd.. is a stored folder, named by its content hash; ROOT/keys/ holds the small documents; ROOT/incoming/ what
is being written; ROOT/damaged/ what no longer has the content that its name says, kept for a look.
Everything appears by one rename, so kill -9 leaves nothing half-written. Files are not synced: after a power loss a
torn one is noticed by its hash. Limits: regular files only, without their modes; empty folders are no content.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from everfit.adapters.content import copy, digest, files, moved
from everfit.adapters.incoming import sweep, temporary
from everfit.errors import StorageError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FolderArtifacts:
    """An ArtifactStore in the folder `root`, made where missing. Every method raises StorageError when the disk is
    full or the folder not writable, and then nothing half-written is visible."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        with _told(root):
            for folder in (root / "keys", root / "damaged", self._incoming):
                folder.mkdir(parents=True, exist_ok=True)
            sweep(self._incoming)

    def put(self, folder: Path, *, move: bool = False) -> str:
        """Stores a copy and returns its hash: SHA-256 over the sorted pairs of each file's path and own SHA-256."""
        with _told(folder):
            names = files(folder)
            content = digest(folder, names)
        place = self._place(content)
        with _told(self._root):
            if place.is_dir():
                return content
            place.parent.mkdir(exist_ok=True)
            if move and moved(folder, place):
                return content
            with temporary(self._incoming) as new:
                copy(folder, names, new)
                if digest(new, names) != content:
                    raise StorageError("a file changed while it was stored", where=str(folder), fix="store it again")
                moved(new, place)
        return content

    def get(self, digest: str, *, verify: bool = True) -> Path | None:
        """The stored folder if every byte of it is as it was; a damaged one is set aside, to be stored again."""
        place = self._place(digest)
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            return None
        with _told(place):
            if _intact(place) if verify else place.is_dir():
                return place
            if place.exists():
                self._set_aside(place)
        return None

    def link(self, key: str, document: bytes) -> None:
        """Remembers the document under the key; a reader sees the old one or the new one, whole."""
        with _told(self._root), temporary(self._incoming) as new:
            new.write_bytes(document)
            new.replace(self._key(key))

    def resolve(self, key: str) -> bytes | None:
        """The document remembered under the key, or None."""
        with _told(self._root):
            try:
                return self._key(key).read_bytes()
            except (FileNotFoundError, IsADirectoryError):
                return None

    def _place(self, digest: str) -> Path:
        return self._root / digest[:2] / digest

    def _key(self, key: str) -> Path:
        return self._root / "keys" / quote(key, safe="").replace(".", "%2E")

    def _set_aside(self, place: Path) -> None:
        from filelock import FileLock

        # Looked at again under the lock, or a copy stored anew by another process could be set aside instead.
        with FileLock(self._root / "damaged.lock"):
            if place.exists() and not _intact(place):
                place.rename(self._root / "damaged" / f"{place.name}-{uuid4().hex}")


def _intact(place: Path) -> bool:
    try:
        return digest(place, files(place)) == place.name
    except (FileNotFoundError, StorageError):  # set aside meanwhile, or turned into something else
        return False


@contextmanager
def _told(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = "free disk space, then run again; nothing half-written was kept"
        fix = full if error.errno in _FULL else "make the folder writable for this user, or choose another"
        raise StorageError(error.strerror or str(error), where=str(error.filename or where), fix=fix) from error
