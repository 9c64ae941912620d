"""A version in front of traffic: start, look, go on or go back; the ledger decides, the registry is told."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl

from everfit.errors import ReleaseError
from everfit.flow import ledger
from everfit.ports import PredictionLog, Progress, Registry, StateStore
from everfit.project.sections.release import Release
from everfit.records.release import ArmEvidence, ReleaseState, Verdict
from everfit.rollout import approval, strategy, verdict
from everfit.rollout.approval import Rule

NO_APPROVAL = Rule()


def start(
    state: StateStore,
    settings: Release,
    by: str,
    version: int | None = None,
    force: bool = False,
    at: datetime | None = None,
    rule: Rule = NO_APPROVAL,
) -> ReleaseState:
    """Brings a version, or the newest registered one, in front of traffic by the project's strategy. While it lacks
    approvals it is staged instead, and nothing else changes."""

    def drafts(now: ReleaseState) -> tuple[strategy.Draft, ...]:
        chosen = version if version is not None else now.latest
        if chosen is None:
            raise ReleaseError("no version is registered yet", where="release", fix="train one with `everfit run`")
        begun = strategy.start(now, chosen, settings, force=force)
        return approval.hold(now, chosen, rule, force=force) if approval.missing(now, chosen, rule) else begun

    return ledger.commit(state, drafts, by, at)


def look(
    state: StateStore, log: PredictionLog, settings: Release, by: str, now: datetime | None = None
) -> tuple[Verdict | None, ReleaseState]:
    """Judges the canary on what both arms did since its step began, and acts on the verdict; None without a canary."""
    now = now or datetime.now(UTC)
    before = ledger.current(state)
    if before.challenger is None or before.champion is None:
        return None, before
    seen = log.frame(["version", "latency", "error"], before.step_since)
    arms = evidence(seen, before.champion, before.challenger)
    found = verdict.judge(before, settings, *arms, now)
    return found, ledger.commit(state, lambda seen: strategy.apply(seen, found) if seen == before else (), by, now)


def roll_back(state: StateStore, by: str, reason: str, now: datetime | None = None) -> ReleaseState:
    """Ends the canary, or gives the traffic back to the champion before this one."""
    return ledger.commit(state, lambda seen: strategy.roll_back(seen, reason), by, now)


def evidence(seen: pl.DataFrame, champion: int, challenger: int) -> tuple[ArmEvidence, ArmEvidence]:
    """What each of the two versions did, from the prediction log's columns `version`, `latency` and `error`."""
    return _arm(seen, champion), _arm(seen, challenger)


def mirror(registry: Registry, now: ReleaseState, progress: Progress) -> ReleaseState:
    """Tells the registry who is in production and who is on trial, and passes the state on. The ledger is the truth:
    a registry that cannot be told is said to `progress`, and hears it with the next change."""
    staging = now.challenger if now.challenger is not None else now.staged
    aliases = {"production": now.champion, "staging": staging, "archived": now.previous_champion}
    try:
        registry.mirror({alias: version for alias, version in aliases.items() if version is not None})
    except Exception as error:  # noqa: BLE001  a registry raises its own errors, and none may undo a release
        progress.note(f"the registry does not know of this yet: {type(error).__name__}: {error}")
    return now


def _arm(seen: pl.DataFrame, version: int) -> ArmEvidence:
    own = seen.filter(pl.col("version") == version)
    tail = float(np.quantile(own["latency"].to_numpy(), 0.99)) if own.height else None
    return ArmEvidence(version, own.height, own.height - own["error"].null_count(), tail)
