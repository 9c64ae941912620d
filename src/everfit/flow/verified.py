"""An artifact store as one run sees it."""

from __future__ import annotations

from pathlib import Path

from everfit.ports import ArtifactStore


class Verified:
    """A store that verifies each artifact once: what was whole when a run took it from the cache, or was just hashed
    to be stored, is not read again for each step that needs it."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._whole: set[str] = set()

    def put(self, folder: Path, *, move: bool = False) -> str:
        """As the store does it."""
        digest = self._store.put(folder, move=move)
        self._whole.add(digest)
        return digest

    def get(self, digest: str, *, verify: bool = True) -> Path | None:
        """As the store does it, verified the first time."""
        found = self._store.get(digest, verify=verify and digest not in self._whole)
        if found is not None:
            self._whole.add(digest)
        return found

    def link(self, key: str, document: bytes) -> None:
        """As the store does it."""
        self._store.link(key, document)

    def resolve(self, key: str) -> bytes | None:
        """As the store does it."""
        return self._store.resolve(key)
