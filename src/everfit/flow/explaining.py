"""The versions of the ledger, opened to explain what they answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from everfit.errors import StorageError
from everfit.flow import ledger, routes
from everfit.ports import ArtifactStore, StateStore
from everfit.serving.explaining import Opened
from everfit.serving.predictor import Predictor


def opener(
    predictor: Predictor, state: Callable[[], StateStore], artifacts: ArtifactStore, trusted: Sequence[str] = ()
) -> Callable[[int], Opened]:
    """Opens any version that the ledger knows: the model that `predictor` answers with where it does, else its bundle,
    verified. It raises StorageError for a version that is not known, or whose bundle is gone."""

    def opened(version: int) -> Opened:
        made = ledger.versions(state()).get(version)
        if made is None:
            raise StorageError(
                "the ledger does not know the version that answered",
                where=f"version {version}",
                fix="restore the state from a backup",
            )
        model = predictor.snapshot.models.get(version) or routes.load(made, artifacts, trusted)
        return model, routes.folder(made, artifacts)

    return opened
