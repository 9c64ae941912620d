"""What every adapter of a port must do, as pytest classes: subclass one, say how to make the adapter, and run pytest.

    from everfit.testing.contracts import StateStoreContract

    class TestMyState(StateStoreContract):
        def make(self, folder: Path) -> MyState:
            return MyState(folder / "state")

`make` opens the adapter on what lies in `folder`: called twice with the same folder, it gives two doors to the same
store. Some suites start processes of their own, so the class must be importable: at the top of its module.
This package needs pytest; nothing else of everfit imports it.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

_SUITES = (
    "alerts",
    "artifacts",
    "executor",
    "labels",
    "online",
    "predictions",
    "registry",
    "source",
    "state",
    "target",
    "tracker",
)
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _SUITES))

from everfit import ports  # noqa: E402
from everfit.testing.contracts.alerts import AlertChannelContract  # noqa: E402
from everfit.testing.contracts.artifacts import ArtifactStoreContract  # noqa: E402
from everfit.testing.contracts.executor import ExecutorContract  # noqa: E402
from everfit.testing.contracts.labels import LabelStoreContract  # noqa: E402
from everfit.testing.contracts.online import OnlineStoreContract  # noqa: E402
from everfit.testing.contracts.predictions import PredictionLogContract  # noqa: E402
from everfit.testing.contracts.registry import RegistryContract  # noqa: E402
from everfit.testing.contracts.source import SourceContract  # noqa: E402
from everfit.testing.contracts.state import StateStoreContract  # noqa: E402
from everfit.testing.contracts.target import TargetContract  # noqa: E402
from everfit.testing.contracts.tracker import TrackerContract  # noqa: E402

CONTRACTS: Mapping[type, type] = {
    ports.AlertChannel: AlertChannelContract,
    ports.ArtifactStore: ArtifactStoreContract,
    ports.Executor: ExecutorContract,
    ports.LabelStore: LabelStoreContract,
    ports.OnlineStore: OnlineStoreContract,
    ports.PredictionLog: PredictionLogContract,
    ports.Registry: RegistryContract,
    ports.Source: SourceContract,
    ports.StateStore: StateStoreContract,
    ports.Target: TargetContract,
    ports.Tracker: TrackerContract,
}

__all__ = [
    "CONTRACTS",
    "AlertChannelContract",
    "ArtifactStoreContract",
    "ExecutorContract",
    "LabelStoreContract",
    "OnlineStoreContract",
    "PredictionLogContract",
    "RegistryContract",
    "SourceContract",
    "StateStoreContract",
    "TargetContract",
    "TrackerContract",
]
