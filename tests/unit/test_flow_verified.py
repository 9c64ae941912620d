"""An artifact's bytes are hashed when it is stored and once in each run that takes it from the cache, never more."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.unit.flow_places import Place, status

from everfit.adapters.artifacts import folder
from everfit.adapters.artifacts.folder import FolderArtifacts
from everfit.flow import artifact
from everfit.flow.graph import step


def array(number: int) -> np.ndarray[Any, Any]:
    return np.arange(number)


def total(array: np.ndarray[Any, Any]) -> int:
    return int(array.sum())


def counted(array: np.ndarray[Any, Any], more: int) -> int:
    return len(array) + more


STEPS = (step(array), step(total), step(counted))


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The contents that the store has read to verify them."""
    names: list[str] = []
    intact = folder._intact

    def noted(place: Path) -> bool:
        names.append(place.name)
        return intact(place)

    monkeypatch.setattr(folder, "_intact", noted)
    return names


def test_what_a_run_has_just_stored_is_not_read_again_to_verify_it(tmp_path: Path, verified: list[str]) -> None:
    Place(tmp_path).run(*STEPS, number=3, more=1)
    assert verified == []


def test_what_comes_from_the_cache_is_verified_once(tmp_path: Path, verified: list[str]) -> None:
    place = Place(tmp_path)
    place.run(*STEPS, number=3, more=1)
    run = place.run(*STEPS, number=3, more=2)
    outputs = {one.name: one.output for one in run.record.steps}
    assert status(run.record) == {"array": "cached", "total": "cached", "counted": "done"}
    assert sorted(verified) == sorted([outputs["array"], outputs["total"]])


def test_an_output_asked_for_after_the_run_is_verified_anew(tmp_path: Path, verified: list[str]) -> None:
    run = Place(tmp_path).run(*STEPS, number=3, more=1)
    assert run["total"] == 3
    assert verified == [next(one.output for one in run.record.steps if one.name == "total")]


def test_a_folder_on_another_file_system_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "a").write_bytes(b"1")
    store, rename = FolderArtifacts(tmp_path / "store"), Path.rename

    def refusing(path: Path, target: Path) -> Path:
        if path == source:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refusing)
    found = store.get(store.put(source, move=True))
    assert found is not None
    assert ((found / "a").read_bytes(), (source / "a").read_bytes()) == (b"1", b"1")


@pytest.mark.parametrize(("cells", "names"), [(6, ["table.arrows"]), (5, ["0000.arrow", "0001.arrow"])])
def test_small_and_large_tables_come_back_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: int, names: list[str]
) -> None:
    monkeypatch.setattr(artifact, "_SMALL", cells)
    table = pl.DataFrame({"x": [1.5, None, 3.0], "name": ["a", "b", None]})
    artifact.save(table, pl.DataFrame, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert artifact.load(pl.DataFrame, tmp_path).equals(table)
