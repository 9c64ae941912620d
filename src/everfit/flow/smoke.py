"""A version answers its own example as it did in training: what every process that serves it sees to first."""

from __future__ import annotations

from everfit.errors import StorageError
from everfit.records.model import EXAMPLE_SCORE, ModelVersion
from everfit.serving.model import Model


def recorded(model: Model) -> str:
    """The score of the model's own example, every bit of it, as a version's tag keeps it."""
    return float(model.one(model.manifest.example).score).hex()


def check(model: Model, made: ModelVersion) -> None:
    """Passes a model that answers its example to the bit as training recorded it. Raises StorageError."""
    expected = made.tags.get(EXAMPLE_SCORE)
    if expected is not None and (found := recorded(model)) != expected:
        was, now = float.fromhex(expected), float.fromhex(found)
        raise StorageError(
            f"version {made.version} answers its own example with {now!r}, and with {was!r} when it was trained",
            where=f"artifact {made.bundle_hash[:12]}",
            fix="serve it with the libraries and on a machine of the kind that trained it, or train it again here",
        )
