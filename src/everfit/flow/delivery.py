"""Released bundles brought to where they are to be as files: the champion is current there, and what a rollback needs
stays beside it."""

from __future__ import annotations

from everfit.flow import ledger
from everfit.ports import ArtifactStore, StateStore, Target
from everfit.records.model import ModelVersion
from everfit.records.release import Deployed, deployment


def deliver(state: StateStore, artifacts: ArtifactStore, target: Target) -> Deployed | None:
    """Makes the target show what the ledger says, doing nothing where it does; returns what is current then, None
    before the first release.

    Going back only moves the pointer: the champion before stays there. Raises StorageError when the target cannot be
    written, or a bundle is gone that it does not hold."""
    now, known = ledger.current(state), ledger.versions(state)
    if now.champion is None:
        return target.current()
    made, before = known[now.champion], target.current()
    if before is None or (before.version, before.digest) != (made.version, made.bundle_hash):
        bundle = artifacts.get(made.bundle_hash)
        if bundle is not None:
            target.put(_name(made), bundle, made.bundle_hash)
        target.point(Deployed(_name(made), made.name, made.version, made.bundle_hash, now.number))
        target.keep({_name(known[version]) for version in now.in_use})
    return target.current()


def _name(made: ModelVersion) -> str:
    return deployment(made.name, made.version)
