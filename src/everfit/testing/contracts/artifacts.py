"""What every ArtifactStore must do."""

from __future__ import annotations

import shutil
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import pytest

from everfit.ports import ArtifactStore
from everfit.testing.contracts.processes import Make, killed, together


class ArtifactStoreContract:
    """Folders by content hash, verified at every get, and small documents by key."""

    def make(self, folder: Path) -> ArtifactStore:
        """Opens the store in the folder."""
        raise NotImplementedError

    def test_what_was_put_comes_back_byte_for_byte(self, tmp_path: Path) -> None:
        folder = _folder(tmp_path / "in", {"a.bin": bytes(range(256)), "sub/deep/b.txt": b"", "ü .txt": b"x\r\ny"})
        store = self.make(tmp_path / "store")
        assert _read(store.get(store.put(folder))) == _read(folder)

    def test_the_hash_is_of_the_content_alone(self, tmp_path: Path) -> None:
        store = self.make(tmp_path / "store")
        same = {store.put(_folder(tmp_path / name, {"a": b"1", "b/c": b"2"})) for name in ("one", "other")}
        others = [{"a": b"2", "b/c": b"1"}, {"a": b"1", "b-c": b"2"}, {"a": b"1"}, {"a": b"1", "b/c": b"2", "d": b""}]
        different = {store.put(_folder(tmp_path / f"x{i}", files)) for i, files in enumerate(others)}
        assert (len(same), len(same | different)) == (1, 1 + len(others))

    def test_the_stored_copy_does_not_follow_the_original(self, tmp_path: Path) -> None:
        folder = _folder(tmp_path / "in", {"a": b"1"})
        store = self.make(tmp_path / "store")
        digest = store.put(folder)
        (folder / "a").write_bytes(b"2")
        shutil.rmtree(folder)
        assert _read(store.get(digest)) == {"a": b"1"}

    def test_what_was_moved_in_is_as_good_as_a_copy(self, tmp_path: Path) -> None:
        content = {"a": b"1", "sub/b": b"2"}
        store = self.make(tmp_path / "store")
        moved = [store.put(_folder(tmp_path / name, content), move=True) for name in ("one", "again")]
        assert set(moved) == {store.put(_folder(tmp_path / "copied", content))}
        assert _read(store.get(moved[0])) == _read(store.get(moved[0], verify=False)) == content

    def test_unknown_content_is_none(self, tmp_path: Path) -> None:
        store = self.make(tmp_path / "store")
        assert [store.get(digest) for digest in ("0" * 64, "../../etc", "")] == [None] * 3
        assert store.get("0" * 64, verify=False) is None

    @pytest.mark.parametrize("harm", ["change", "remove", "add"])
    def test_damaged_content_is_none_and_can_be_stored_again(self, tmp_path: Path, harm: str) -> None:
        folder = _folder(tmp_path / "in", {"a": b"1", "b": b"2"})
        store = self.make(tmp_path / "store")
        digest = store.put(folder)
        _harm(store.get(digest), harm)
        assert store.get(digest) is None
        assert store.put(folder) == digest
        assert _read(store.get(digest)) == _read(folder)

    def test_documents_come_back_by_key_and_the_last_writer_wins(self, tmp_path: Path) -> None:
        store = self.make(tmp_path / "store")
        for key, document in (("k", b"1"), ("other", b"x"), ("k", b"22")):
            store.link(key, document)
        assert [store.resolve(key) for key in ("k", "other", "none")] == [b"22", b"x", None]

    def test_keys_may_hold_any_text_and_stay_apart(self, tmp_path: Path) -> None:
        store = self.make(tmp_path / "store")
        keys = ["ab", "a/b", "../ab", "..", ".", "ä b", "a%2Fb"]
        for key in keys:
            store.link(key, key.encode())
        assert [store.resolve(key) for key in keys] == [key.encode() for key in keys]

    def test_everything_is_there_after_opening_again(self, tmp_path: Path) -> None:
        store = self.make(tmp_path / "store")
        digest = store.put(_folder(tmp_path / "in", {"a": b"1"}))
        store.link("k", digest.encode())
        again = self.make(tmp_path / "store")
        assert again.resolve("k") == digest.encode()
        assert _read(again.get(digest)) == {"a": b"1"}

    def test_processes_that_put_the_same_content_at_once_all_succeed(self, tmp_path: Path) -> None:
        folder = _folder(tmp_path / "in", {f"{i}.bin": bytes([i]) * 200_000 for i in range(20)})
        digests = together(_put, self.make, tmp_path, 4)
        store = self.make(tmp_path / "store")
        assert set(digests) == {store.put(folder)}
        assert _read(store.get(digests[0])) == _read(folder)

    @pytest.mark.parametrize("seed", range(3))
    def test_kill_9_leaves_whole_content_or_none(self, tmp_path: Path, seed: int) -> None:
        random = Random(seed)
        stored = killed(_put_on, self.make, tmp_path, random.randrange(1, 8), random.random() / 50)
        store, following = self.make(tmp_path / "store"), len(stored)
        assert [_read(store.get(digest)) for digest in stored] == [_content(i) for i in range(following)]
        assert [store.resolve(f"k{i}") for i in range(following)] == [digest.encode() for digest in stored]
        digest = store.put(_folder(tmp_path / "again", _content(following)))
        assert _read(store.get(digest)) == _content(following)
        assert store.resolve(f"k{following}") in (None, digest.encode())


def _folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def _read(folder: Path | None) -> dict[str, bytes]:
    assert folder is not None
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _harm(folder: Path | None, harm: str) -> None:
    assert folder is not None
    if harm == "remove":
        (folder / "b").unlink()
    else:
        (folder / ("b" if harm == "change" else "c")).write_bytes(b"3")


def _content(number: int) -> dict[str, bytes]:
    return {f"{i}/data.bin": bytes([number % 256, i]) * 100_000 for i in range(10)}


def _put(make: Make, folder: Path, process: int, pipe: Connection) -> None:
    store = make(folder / "store")
    pipe.send(process)
    pipe.recv()
    pipe.send(store.put(folder / "in"))


def _put_on(make: Make, folder: Path, _: int, pipe: Connection) -> None:
    store, number = make(folder / "store"), 0
    while True:
        digest = store.put(_folder(folder / f"in{number}", _content(number)))
        store.link(f"k{number}", digest.encode())
        pipe.send(digest)
        number += 1
