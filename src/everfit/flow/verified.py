"""An artifact store as one run sees it."""

from __future__ import annotations

from pathlib import Path

from everfit.ports import ArtifactStore


class Verified:
    """A store that reads each artifact once to verify it: what was whole when a run took it from the cache is not read
    again for each step that needs it."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._whole: dict[str, Path] = {}

    def put(self, folder: Path, *, move: bool = False) -> str:
        """As the store does it."""
        return self._store.put(folder, move=move)

    def get(self, digest: str) -> Path | None:
        """As the store does it, once."""
        found = self._whole.get(digest) or self._store.get(digest)
        if found is not None:
            self._whole[digest] = found
        return found

    def link(self, key: str, document: bytes) -> None:
        """As the store does it."""
        self._store.link(key, document)

    def resolve(self, key: str) -> bytes | None:
        """As the store does it."""
        return self._store.resolve(key)
