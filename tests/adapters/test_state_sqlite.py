from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import StorageError
from everfit.testing.contracts import StateStoreContract
from tests.adapters.limits import fix_told_when_full

FILL = """
from everfit.adapters.state.sqlite import SqliteState
store = SqliteState(folder / "state.db")
while True:
    store.append("s", b"x" * 10_000)
"""


class TestSqliteState(StateStoreContract):
    def make(self, folder: Path) -> SqliteState:
        return SqliteState(folder / "state.db")


@pytest.mark.parametrize("content", [b"no database at all " * 300, b"SQLite format 3\0" + b"\xff" * 5000])
def test_damaged_file_is_told_with_a_way_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises(StorageError, match=r"state\.db") as told:
        SqliteState(tmp_path / "state.db").append("s", b"1")
    assert "backup" in told.value.fix


def test_page_damaged_later_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = SqliteState(path)
    for _ in range(200):
        store.append("s", b"x" * 1000)
    del store
    gc.collect()  # closes the connection, which moves the log into the file
    path.write_bytes(path.read_bytes()[:8192] + b"\x5a" * (path.stat().st_size - 8192))
    with pytest.raises(StorageError):
        SqliteState(path).read("s")


def test_full_disk_is_told_and_what_was_appended_stays(tmp_path: Path) -> None:
    assert "disk" in fix_told_when_full(tmp_path, 300_000, FILL)
    store = SqliteState(tmp_path / "state.db")
    found = store.read("s")
    assert found == [(number, b"x" * 10_000) for number in range(1, len(found) + 1)]
    assert found
    assert store.append("s", b"after") == len(found) + 1


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError) as told:
        SqliteState(tmp_path / "file" / "state.db")
    assert "folder" in told.value.fix


# Newer Pythons warn of any fork beside threads, and the table library has some.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_store_opened_before_a_fork_works_on_both_sides(tmp_path: Path) -> None:
    store = SqliteState(tmp_path / "state.db")
    store.append("s", b"parent")
    child = os.fork()
    if child == 0:
        os._exit(0 if store.append("s", b"child") == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.append("s", b"parent again") == 3
