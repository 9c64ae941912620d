"""A predictor kept on the ledger's route table."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.serving_models import GOOD, MemoryLog, bundle

from everfit.adapters.artifacts.folder import FolderArtifacts
from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import NotReady, StorageError
from everfit.flow import ledger, release, routes
from everfit.project.sections.release import Release
from everfit.records.model import ModelVersion
from everfit.serving.predictor import Predictor

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE = Release(strategy="immediate")


class Stores:
    """Two versions in real stores: the second has another card, so that its bundle is another."""

    def __init__(self, folder: Path) -> None:
        self.artifacts = FolderArtifacts(folder / "artifacts")
        self.state = SqliteState(folder / "state.db")
        self.predictor = Predictor(MemoryLog())
        self.digests = []
        for number, target in enumerate(("Churn", "level"), start=1):
            self.digests.append(self.artifacts.put(bundle(target)))
            made = ModelVersion("churn", number, self.digests[-1], "run", NOW, {})
            ledger.register(self.state, made, "ann", NOW)

    def refresh(self) -> bool:
        return routes.refresh(self.predictor, self.state, self.artifacts)

    def folder(self, version: int) -> Path:
        digest = self.digests[version - 1]
        return self.artifacts._root / digest[:2] / digest


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(tmp_path)


def test_before_a_release_nobody_answers(stores: Stores) -> None:
    stores.refresh()
    with pytest.raises(NotReady):
        stores.predictor.predict([GOOD])


def test_a_release_reaches_the_predictor_and_a_second_look_changes_nothing(stores: Stores) -> None:
    release.start(stores.state, AT_ONCE, "ann", 1)
    assert [stores.refresh(), stores.refresh()] == [True, False]
    assert stores.predictor.predict([GOOD])[0].version == 1


def test_a_rollback_reaches_it_too_and_the_model_is_not_loaded_again(stores: Stores) -> None:
    release.start(stores.state, AT_ONCE, "ann", 1)
    stores.refresh()
    first = stores.predictor.snapshot.champion
    release.start(stores.state, Release(steps=(0.5,)), "ann", 2)
    assert stores.refresh()
    assert [arm.version for arm in stores.predictor.snapshot.table.arms] == [1, 2]
    assert stores.predictor.snapshot.models[1] is first
    release.roll_back(stores.state, "ann", "by hand")
    assert stores.refresh()
    assert [arm.weight for arm in stores.predictor.snapshot.table.arms] == [1.0]


def test_what_answers_goes_on_when_the_next_cannot_be_loaded(stores: Stores) -> None:
    release.start(stores.state, AT_ONCE, "ann", 1)
    stores.refresh()
    release.start(stores.state, AT_ONCE, "ann", 2)
    shutil.rmtree(stores.folder(2))
    with pytest.raises(StorageError, match="the bundle of version 2 is missing or was changed"):
        stores.refresh()
    assert stores.predictor.predict([GOOD])[0].version == 1


def test_a_bundle_whose_bytes_were_changed_is_not_served(stores: Stores) -> None:
    file = stores.folder(1) / "model.skops"
    file.write_bytes(file.read_bytes() + b" ")
    release.start(stores.state, AT_ONCE, "ann", 1)
    with pytest.raises(StorageError, match="the bundle of version 1 is missing or was changed"):
        stores.refresh()
