from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from everfit.adapters.artifacts.folder import FolderArtifacts
from everfit.errors import StorageError
from everfit.testing.contracts import ArtifactStoreContract
from tests.adapters.limits import fix_told_when_full

STORE = """
from everfit.adapters.artifacts.folder import FolderArtifacts
FolderArtifacts(folder / "store").put(folder / "in")
"""


class TestFolderArtifacts(ArtifactStoreContract):
    def make(self, folder: Path) -> FolderArtifacts:
        return FolderArtifacts(folder)


def _in(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "small").write_bytes(b"1")
    (tmp_path / "in" / "zlarge").write_bytes(b"2" * 300_000)
    return tmp_path / "in"


def test_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    folder = _in(tmp_path)
    assert "disk" in fix_told_when_full(tmp_path, 100_000, STORE)
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    store = FolderArtifacts(tmp_path / "store")
    assert store.get(store.put(folder)) is not None


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError) as told:
        FolderArtifacts(tmp_path / "file" / "store")
    assert "folder" in told.value.fix


def test_damaged_content_is_kept_for_a_look(tmp_path: Path) -> None:
    store = FolderArtifacts(tmp_path / "store")
    digest = store.put(_in(tmp_path))
    (tmp_path / "store" / digest[:2] / digest / "small").write_bytes(b"3")
    assert store.get(digest) is None
    assert [path.read_bytes() for path in (tmp_path / "store" / "damaged").glob("*/small")] == [b"3"]


@pytest.mark.parametrize("to", ["small", "nowhere", "."])
def test_links_are_refused_rather_than_lost(tmp_path: Path, to: str) -> None:
    folder = _in(tmp_path)
    (folder / "link").symlink_to(to)
    with pytest.raises(StorageError, match="link"):
        FolderArtifacts(tmp_path / "store").put(folder)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="not a folder"):
        FolderArtifacts(tmp_path / "store").put(tmp_path / "none")


def test_leftovers_of_dead_writers_are_swept_and_others_stay(tmp_path: Path) -> None:
    host = os.uname().nodename
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    incoming = tmp_path / "store" / "incoming"
    dead = incoming / f"{host}~{int(gone.stdout)}~a"
    old, living, foreign = incoming / "elsewhere~1~b", incoming / f"{host}~{os.getppid()}~c", incoming / "elsewhere~1~d"
    for leftover in (dead, old, living, foreign):
        leftover.mkdir(parents=True)
        (leftover / "half").write_bytes(b"1")
    os.utime(old, (0, 0))
    FolderArtifacts(tmp_path / "store")
    assert set(incoming.iterdir()) == {living, foreign}
