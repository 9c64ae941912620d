"""Keeps a predictor on the ledger's route table: loads what is new beside what answers, then swaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from everfit.errors import StorageError
from everfit.flow import ledger, smoke
from everfit.ports import ArtifactStore, StateStore
from everfit.records.model import ModelVersion
from everfit.records.release import ReleaseState, RouteTable
from everfit.rollout import routing
from everfit.serving.model import Model, open_model, prepare
from everfit.serving.predictor import Predictor


def refresh(predictor: Predictor, state: StateStore, artifacts: ArtifactStore, trusted: Sequence[str] = ()) -> bool:
    """Brings the predictor up to the ledger; true when its route table changed. The models that answer now go on
    until every new one is loaded and verified.

    When one cannot be, that is raised after the predictor was told, and what answers goes on answering; where nothing
    answers yet, the champion alone takes all traffic if it can."""
    try:
        newest = state.last(ledger.STREAM)
        changed = newest is not None and newest[0] != predictor.snapshot.table.number
        if changed:
            bring(predictor, ledger.current(state), ledger.versions(state), artifacts, trusted)
    except Exception as error:
        predictor.behind = str(error) or type(error).__name__
        raise
    predictor.behind = ""
    return changed


def bring(
    predictor: Predictor,
    release: ReleaseState,
    known: Mapping[int, ModelVersion],
    artifacts: ArtifactStore,
    trusted: Sequence[str] = (),
    warm: Mapping[int, Model] | None = None,
) -> bool:
    """Lets the predictor answer by this release; true when that changed its route table. Models that are loaded, or
    kept `warm`, are not loaded again. Raises as `refresh` does."""
    before, table = predictor.snapshot, routing.table(release)
    if table == before.table:
        return False
    loaded = {**(warm or {}), **before.models}
    models: dict[int, Model] = {}
    for arm in table.arms:
        try:
            models[arm.version] = loaded.get(arm.version) or load(known[arm.version], artifacts, trusted)
        except Exception:
            if models and not before.table.arms:
                # Under the old number, so that the next refresh tries again.
                alone = RouteTable(before.table.number, (replace(table.arms[0], weight=1.0),))
                predictor.swap(alone, models, _made(known, models))
            raise
    predictor.swap(table, models, _made(known, models))
    return True


def _made(known: Mapping[int, ModelVersion], models: Mapping[int, Model]) -> dict[int, datetime]:
    return {version: known[version].created_at for version in models}


def load(made: ModelVersion, artifacts: ArtifactStore, trusted: Sequence[str] = ()) -> Model:
    """The model of a version, its bytes verified and its example answered to the bit as when it was trained, ready for
    one row and for many. StorageError when its bundle is gone, or answers otherwise."""
    model = open_model(folder(made, artifacts), trusted)
    smoke.check(model, made)
    prepare(model)
    return model


def folder(made: ModelVersion, artifacts: ArtifactStore) -> Path:
    """The bundle of a version, its bytes verified. StorageError when it is gone."""
    found = artifacts.get(made.bundle_hash)
    if found is None:
        raise StorageError(
            f"the bundle of version {made.version} is missing or was changed on disk",
            where=f"artifact {made.bundle_hash[:12]}",
            fix="release another version, or run again to make this one anew",
        )
    return found
