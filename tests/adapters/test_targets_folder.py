from __future__ import annotations

import json
from pathlib import Path

from everfit.adapters.targets.folder import POINTER, FolderTarget, FolderTargetConfig
from everfit.records.release import Deployed
from everfit.testing.contracts import TargetContract
from everfit.testing.contracts.target import bundle
from tests.adapters.limits import fix_told_when_full

PUT = """
from everfit.adapters.content import digest, files
from everfit.adapters.targets.folder import FolderTarget, FolderTargetConfig
bundle = folder / "bundle-large"
FolderTarget(FolderTargetConfig(folder / "target")).put("churn-v1", bundle, digest(bundle, files(bundle)))
"""


class TestFolderTarget(TargetContract):
    def make(self, folder: Path) -> FolderTarget:
        return FolderTarget(FolderTargetConfig(folder))


def test_a_deployment_is_a_folder_of_its_name_and_the_pointer_a_document(tmp_path: Path) -> None:
    target, (place, content) = FolderTarget(FolderTargetConfig(tmp_path / "target")), bundle(tmp_path, "v1")
    target.put("churn-v1", place, content)
    target.point(Deployed("churn-v1", "churn", 1, content, 2))
    assert (tmp_path / "target" / "churn-v1" / "manifest.json").read_text() == "v1"
    assert json.loads((tmp_path / "target" / POINTER).read_text()) == {
        "name": "churn-v1", "model": "churn", "version": 1, "digest": content, "release": 2,
    }  # fmt: skip


def test_a_deployment_that_was_damaged_is_delivered_anew(tmp_path: Path) -> None:
    target, (place, content) = FolderTarget(FolderTargetConfig(tmp_path / "target")), bundle(tmp_path, "v1")
    target.put("churn-v1", place, content)
    (tmp_path / "target" / "churn-v1" / "manifest.json").write_text("something else")
    target.put("churn-v1", place, content)
    assert (tmp_path / "target" / "churn-v1" / "manifest.json").read_text() == "v1"


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    bundle(tmp_path, "large")
    (tmp_path / "bundle-large" / "weights").write_bytes(b"2" * 300_000)
    assert "disk" in fix_told_when_full(tmp_path, 100_000, PUT)
    assert [path.name for path in (tmp_path / "target").iterdir() if not path.name.startswith(".")] == []
    assert list((tmp_path / "target" / ".incoming").iterdir()) == []
