"""A file is the old one or the new one, whatever happens in between."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from everfit import atomic
from everfit.errors import StorageError


@pytest.mark.parametrize("content", ["ü\n", b"\x00\xff"])
def test_it_replaces_what_was_there_and_makes_its_folder(content: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for text in ("the one before, and longer", content):
        atomic.write(path, text)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [one.name for one in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("call", ["replace", "open"])
def test_a_disk_that_refuses_leaves_the_old_content_and_nothing_else(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("before")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(Path, call, refuse)
        with pytest.raises(StorageError, match="the counts cannot be written: No space left on device") as caught:
            atomic.write(tmp_path / "file", "after", what="the counts")
    assert caught.value.where == str(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_durable_file_is_synced_before_it_gets_its_name_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, bool]] = []

    def fsync(handle: int) -> None:
        seen.append((Path(f"/proc/self/fd/{handle}").resolve() == tmp_path, (tmp_path / "file").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    atomic.write(tmp_path / "file", "kept")
    assert seen == []
    (tmp_path / "file").unlink()
    atomic.write(tmp_path / "file", "kept", durable=True)
    assert seen == [(False, False), (True, True)]
