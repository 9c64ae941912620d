"""What a person does to a version by hand, through the ledger's own rules: approve, promote, archive."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from everfit.flow import ledger
from everfit.ports import StateStore
from everfit.project.sections.release import Release
from everfit.records.release import PROVEN, ReleaseState
from everfit.records.table import Value
from everfit.rollout import approval, strategy
from everfit.rollout.approval import Rule


def approve(
    state: StateStore,
    version: int,
    by: str,
    rule: Rule,
    settings: Release,
    reason: str = "approved",
    at: datetime | None = None,
    proven: bool = False,
) -> ReleaseState:
    """One person's approval; the last that was needed lets a release that waits begin. It is `proven` where `by` is
    the name of a key that was shown.

    The system's own name for the person and the machine is written down beside the name given."""

    def drafts(now: ReleaseState) -> tuple[strategy.Draft, ...]:
        approved = approval.approve(now, version, by, rule, reason, {**_witness(), PROVEN: proven})
        enough = approval.missing(now, version, rule) <= 1
        waits = now.staged == version and now.challenger is None
        return (*approved, *(strategy.start(now, version, settings, force=True) if enough and waits else ()))

    return ledger.commit(state, drafts, by, at)


def resume(state: StateStore, settings: Release, by: str, rule: Rule, at: datetime | None = None) -> ReleaseState:
    """Begins the release that waited, if it has its approvals and no canary is under way any more."""

    def drafts(now: ReleaseState) -> tuple[strategy.Draft, ...]:
        if now.staged is None or now.challenger is not None or approval.missing(now, now.staged, rule):
            return ()
        return strategy.start(now, now.staged, settings, force=True)

    return ledger.commit(state, drafts, by, at)


def promote(
    state: StateStore,
    version: int,
    by: str,
    rule: Rule,
    reason: str = "promoted by hand",
    force: bool = False,
    at: datetime | None = None,
    evidence: Mapping[str, Value] | None = None,
) -> ReleaseState:
    """Makes a registered version champion without a canary, if it has the approvals that it needs; the event has
    `evidence` of what was done before."""

    def drafts(now: ReleaseState) -> tuple[strategy.Draft, ...]:
        promoted = strategy.promote(now, version, reason, force=force)
        approval.check(now, version, rule)
        return strategy.resting_on(promoted, evidence or {})

    return ledger.commit(state, drafts, by, at)


def archive(
    state: StateStore, version: int, by: str, reason: str = "archived by hand", at: datetime | None = None
) -> ReleaseState:
    """Takes a version that is not in use out of it for good."""
    return ledger.commit(state, lambda now: strategy.archive(now, version, reason), by, at)


def _witness() -> dict[str, Value]:
    found: dict[str, Value] = {"host": socket.gethostname()}
    with suppress(KeyError, OSError):  # a container may run as a number that has no name
        found["system_user"] = getpass.getuser()
    return found
