"""Keeps a predictor on the ledger's route table: loads what is new beside what answers, then swaps."""

from __future__ import annotations

from collections.abc import Sequence

from everfit.errors import StorageError
from everfit.flow import ledger
from everfit.ports import ArtifactStore, StateStore
from everfit.records.model import ModelVersion
from everfit.rollout import routing
from everfit.serving.model import Model, open_model
from everfit.serving.predictor import Predictor


def refresh(predictor: Predictor, state: StateStore, artifacts: ArtifactStore, trusted: Sequence[str] = ()) -> bool:
    """Brings the predictor up to the ledger; true when its route table changed. The models that answer now go on
    until every new one is loaded and verified."""
    before = predictor.snapshot
    newest = state.last(ledger.STREAM)
    if newest is None or newest[0] == before.table.number:
        return False
    table = routing.table(ledger.current(state))
    known = ledger.versions(state)
    used = [known[arm.version] for arm in table.arms]
    models = {made.version: before.models.get(made.version) or load(made, artifacts, trusted) for made in used}
    predictor.swap(table, models, {made.version: made.created_at for made in used})
    return True


def load(made: ModelVersion, artifacts: ArtifactStore, trusted: Sequence[str] = ()) -> Model:
    """The model of a version, its bytes verified. StorageError when its bundle is gone."""
    folder = artifacts.get(made.bundle_hash)
    if folder is None:
        raise StorageError(
            f"the bundle of version {made.version} is missing or was changed on disk",
            where=f"artifact {made.bundle_hash[:12]}",
            fix="release another version, or run again to make this one anew",
        )
    return open_model(folder, trusted)
