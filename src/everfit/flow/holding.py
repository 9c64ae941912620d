"""A new champion, held to answering at all; and a version that no server can load, given up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from everfit.errors import EverfitError
from everfit.flow import ledger, routes
from everfit.ports import ArtifactStore, PredictionLog, StateStore
from everfit.project.sections.release import Release
from everfit.records.release import Action, ReleaseState, Verdict
from everfit.rollout import strategy
from everfit.rollout.burst import is_burst
from everfit.serving.predictor import Predictor


def hold(
    state: StateStore, log: PredictionLog, settings: Release, by: str, now: datetime
) -> tuple[Verdict | None, ReleaseState]:
    """Gives the traffic back to the champion before, when the new one fails more of its requests than
    `release.guard.burst` in its first `release.guard.window`; None where nothing is to be done."""
    before = ledger.current(state)
    since, guard = before.champion_since, settings.guard
    if since is None or not before.earlier or before.challenger is not None or now - since > guard.window:
        return None, before
    rows = log.frame(("time", "version", "error"), since, now).filter(pl.col("version") == before.champion)
    # A batch that failed is one failure, and was one request.
    requests = rows.select("time", pl.col("error").is_not_null()).unique()
    failures, alpha = int(requests["error"].sum()), 1 - settings.verdict.confidence
    if not is_burst(failures, requests.height, guard.burst, alpha):
        return None, before
    reason = f"a burst of errors: {failures:,} of {requests.height:,} requests failed"
    found = Verdict(
        Action.ROLL_BACK, reason, alpha, {"errors": failures, "requests": requests.height}, before.champion, now
    )
    after = ledger.commit(state, lambda seen: strategy.roll_back(seen, reason) if seen == before else (), by, now)
    return found, after


def lost(state: StateStore, predictor: Predictor, artifacts: ArtifactStore, trusted: Sequence[str] = ()) -> str:
    """Why the newest version in front of traffic cannot be loaded here, where another answers in its place; empty
    where it can, or where there is no other."""
    now = ledger.current(state)
    suspect = now.challenger if now.challenger is not None else now.champion
    others = now.champion if now.challenger is not None else now.previous_champion
    if suspect is None or others is None or suspect in predictor.snapshot.models:
        return ""
    try:
        routes.load(ledger.versions(state)[suspect], artifacts, trusted)
    except EverfitError as error:
        return f"version {suspect} cannot be loaded: {error.what}"
    return ""
