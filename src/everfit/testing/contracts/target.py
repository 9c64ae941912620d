"""What every Target must do."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from everfit.adapters.content import digest, files
from everfit.errors import StorageError
from everfit.ports import Target
from everfit.records.release import Deployed


def bundle(folder: Path, text: str) -> tuple[Path, str]:
    """A small bundle and its hash."""
    place = folder / f"bundle-{text}"
    (place / "export").mkdir(parents=True)
    (place / "manifest.json").write_text(text)
    (place / "export" / "model.onnx").write_bytes(text.encode() * 1000)
    return place, digest(place, files(place))


class TargetContract:
    """Bundles as files, one of which is the current one."""

    def make(self, folder: Path) -> Target:
        """Opens the target in the folder."""
        raise NotImplementedError

    def _deploy(self, target: Target, tmp_path: Path, version: int, release: int) -> Deployed:
        place, content = bundle(tmp_path / "bundles" / str(release), f"v{version}")
        deployed = Deployed(f"churn-v{version}", "churn", version, content, release)
        target.put(deployed.name, place, content)
        target.point(deployed)
        return deployed

    def test_nothing_is_current_before_the_first(self, tmp_path: Path) -> None:
        assert self.make(tmp_path / "target").current() is None

    def test_what_was_put_and_pointed_at_is_current_also_after_opening_again(self, tmp_path: Path) -> None:
        deployed = self._deploy(self.make(tmp_path / "target"), tmp_path, 1, 2)
        assert self.make(tmp_path / "target").current() == deployed

    def test_putting_again_changes_nothing(self, tmp_path: Path) -> None:
        target = self.make(tmp_path / "target")
        first = self._deploy(target, tmp_path, 1, 2)
        place, content = bundle(tmp_path / "again", "v1")
        target.put(first.name, place, content)
        assert target.current() == first

    def test_going_back_needs_no_bundle(self, tmp_path: Path) -> None:
        target = self.make(tmp_path / "target")
        first = self._deploy(target, tmp_path, 1, 2)
        self._deploy(target, tmp_path, 2, 3)
        back = Deployed(first.name, first.model, first.version, first.digest, 4)
        target.point(back)
        assert target.current() == back

    def test_an_earlier_release_does_not_undo_a_later_one(self, tmp_path: Path) -> None:
        target = self.make(tmp_path / "target")
        self._deploy(target, tmp_path, 1, 2)
        later = self._deploy(target, tmp_path, 2, 5)
        self._deploy(target, tmp_path, 1, 3)
        assert target.current() == later

    def test_a_bundle_that_is_not_what_its_hash_says_is_refused(self, tmp_path: Path) -> None:
        target = self.make(tmp_path / "target")
        place, _ = bundle(tmp_path, "v1")
        with pytest.raises(StorageError, match="changed on disk"):
            target.put("churn-v1", place, "0" * 64)
        with pytest.raises(StorageError, match="no such deployment"):
            target.point(Deployed("churn-v1", "churn", 1, "0" * 64, 1))

    @pytest.mark.parametrize("name", ["", "../churn-v1", "churn", "churn/v1", "Churn-v1", "churn-v0", ".lock"])
    def test_a_name_that_is_no_deployment_is_refused(self, tmp_path: Path, name: str) -> None:
        place, content = bundle(tmp_path, "v1")
        with pytest.raises(StorageError, match="no name of a deployment"):
            self.make(tmp_path / "target").put(name, place, content)

    def test_what_is_not_kept_is_removed_but_never_what_is_current(self, tmp_path: Path) -> None:
        target = self.make(tmp_path / "target")
        for number in (1, 2, 3):
            last = self._deploy(target, tmp_path, number, number)
        target.keep({"churn-v2"})
        assert target.current() == last
        target.point(Deployed("churn-v2", "churn", 2, "", 4))
        with pytest.raises(StorageError, match="no such deployment"):
            target.point(Deployed("churn-v1", "churn", 1, "", 5))

    def test_a_reader_always_finds_a_whole_pointer(self, tmp_path: Path) -> None:
        target, reader = self.make(tmp_path / "target"), self.make(tmp_path / "target")
        self._deploy(target, tmp_path, 1, 1)
        self._deploy(target, tmp_path, 2, 2)
        over = threading.Event()

        def read() -> set[str]:
            found = set()
            while not over.is_set():
                seen = reader.current()
                found.add(seen.name if seen else "nothing")
            return found

        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read)
            for number in range(3, 60):
                version = 1 + number % 2
                target.point(Deployed(f"churn-v{version}", "churn", version, "", number))
            over.set()
        assert "nothing" not in reading.result()
