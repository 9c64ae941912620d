"""The versions of the ledger, opened to explain what they answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from everfit.errors import StorageError
from everfit.flow import ledger, routes
from everfit.flow.standby import Standby
from everfit.ports import ArtifactStore, StateStore
from everfit.records.model import ModelVersion
from everfit.serving.explaining import Opened
from everfit.serving.predictor import Predictor


def opener(
    predictor: Predictor,
    state: Callable[[], StateStore],
    standby: Standby,
    artifacts: ArtifactStore,
    trusted: Sequence[str] = (),
) -> Callable[[int], Opened]:
    """Opens any version that the ledger knows: the model that `predictor` answers with where it does, else its bundle,
    verified. While the store is away, those are opened that this machine saw in use last. It raises StorageError for a
    version that is not known, or whose bundle is gone."""

    def opened(version: int) -> Opened:
        made = _known(state, standby).get(version)
        if made is None:
            raise StorageError(
                "the ledger does not know the version that answered",
                where=f"version {version}",
                fix="restore the state from a backup",
            )
        model = predictor.snapshot.models.get(version) or routes.load(made, artifacts, trusted)
        return model, routes.folder(made, artifacts)

    return opened


def _known(state: Callable[[], StateStore], standby: Standby) -> Mapping[int, ModelVersion]:
    try:
        return ledger.versions(state())
    except StorageError:
        saved = standby.saved()
        if saved is None:
            raise
        return saved.known
