"""A new champion, held to answering at all; and a version that no server can load, given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from everfit.errors import EverfitError
from everfit.flow import ledger, routes
from everfit.flow.trial import SETTLED
from everfit.ports import ArtifactStore, PredictionLog, StateStore
from everfit.project.sections.release import Release
from everfit.records.release import Action, ReleaseState, Verdict
from everfit.rollout import strategy
from everfit.rollout.burst import is_burst
from everfit.serving.predictor import Predictor


@dataclass(slots=True)
class Counted:
    """Requests of a champion that were counted for good, those before `until`; and how many of them failed."""

    version: int = 0
    since: datetime | None = None
    until: datetime | None = None
    requests: int = 0
    failures: int = 0


def hold(
    state: StateStore,
    log: PredictionLog,
    settings: Release,
    by: str,
    now: datetime,
    counted: Counted | None = None,
) -> tuple[Verdict | None, ReleaseState]:
    """Gives the traffic back to the champion before, when the new one fails more of its requests than
    `release.guard.burst` in its first `release.guard.window`; None where nothing is to be done.

    With `counted`, which it brings up to date, only what is new is read; what is acted on is counted from the start."""
    before = ledger.current(state)
    since, guard = before.champion_since, settings.guard
    if since is None or not before.earlier or before.challenger is not None or now - since > guard.window:
        return None, before
    champion, alpha = before.champion or 0, 1 - settings.verdict.confidence
    for counts in (counted, Counted()) if counted is not None else (Counted(),):
        failures, requests = _requests(log, champion, since, now, counts)
        if not is_burst(failures, requests, guard.burst, alpha):
            return None, before
    reason = f"a burst of errors: {failures:,} of {requests:,} requests failed"
    found = Verdict(Action.ROLL_BACK, reason, alpha, {"errors": failures, "requests": requests}, champion, now)
    after = ledger.commit(state, lambda seen: strategy.roll_back(seen, reason) if seen == before else (), by, now)
    return found, after


def _requests(log: PredictionLog, version: int, since: datetime, now: datetime, counted: Counted) -> tuple[int, int]:
    """How many requests of the version failed since then, and how many there were."""
    if (counted.version, counted.since) != (version, since):
        counted.version, counted.since, counted.until = version, since, since
        counted.requests = counted.failures = 0
    rows = log.frame(("time", "version", "error"), counted.until, now).filter(pl.col("version") == version)
    # A batch that failed is one failure, and was one request.
    requests = rows.select("time", pl.col("error").is_not_null()).unique()
    failures, count = counted.failures + int(requests["error"].sum()), counted.requests + requests.height
    settled = max(now - SETTLED, since)
    for_good = requests.filter(pl.col("time") < settled)
    counted.requests, counted.failures = (
        counted.requests + for_good.height,
        counted.failures + int(for_good["error"].sum()),
    )
    counted.until = max(counted.until or since, settled)
    return failures, count


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
