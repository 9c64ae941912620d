"""Drift in the newest predictions, by the project's rule: against training, or against the past of the same phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from everfit.monitoring import drift, joint, ranking, rules, seasonal
from everfit.monitoring import stream as detectors
from everfit.monitoring.columns import Floats
from everfit.ports import StateStore
from everfit.project.sections.monitoring import Drift, Monitoring
from everfit.records.codec import decode, encode
from everfit.records.model import Manifest
from everfit.records.profile import ColumnProfile
from everfit.records.table import Kind
from everfit.records.watch import DriftReport, StreamAlarm, StreamState

FEATURES, STREAMS = "features.", "streams"
TOLERATED = 8  # a mean rank may move by this part of the floor: a shift of 2 points of rows moves it by about 1.4


@dataclass(frozen=True, slots=True)
class Window:
    """The predictions that one drift test is about, as columns: features by name, and the score."""

    since: datetime | None
    columns: Mapping[str, pl.Series]
    score: Floats

    @property
    def rows(self) -> int:
        """How many predictions it has."""
        return len(self.score)


@dataclass(frozen=True, slots=True)
class Seen:
    """The champion's answers not tested before, those tested before, and what any version was asked in the window
    (needed, and there, only for seasons): rows of the log's frame with `time`, `score` and the features."""

    fresh: pl.DataFrame
    tested: pl.DataFrame
    asked: pl.DataFrame


def kinds(manifest: Manifest) -> dict[str, Kind]:
    """The features that the profile knows, as the log is to be asked for them."""
    return {known.name: known.kind for known in manifest.profile.columns}


def window(rows: pl.DataFrame, known: tuple[ColumnProfile, ...]) -> Window:
    """Rows of the log's frame as columns, those of the profile alone."""
    columns = {column.name: rows[FEATURES + column.name].alias(column.name) for column in known}
    return Window(rows["time"][0] if rows.height else None, columns, rows["score"].cast(pl.Float64).to_numpy())


def find(
    settings: Monitoring, manifest: Manifest, seen: Seen, current: Window, alpha: float, now: datetime
) -> DriftReport | None:
    """The look's drift report; None while there are fewer than `monitoring.rows` new predictions, or, for seasons,
    no window of the same phase is over or too few came before it."""
    if settings.drift.seasonal is not None:
        found = _seasonal(settings, settings.drift.seasonal, manifest, seen, alpha, now)
    elif current.rows >= settings.rows:
        found = _plain(settings, manifest, seen, current, alpha, now)
    else:
        found = None
    if found is None or not current.rows:
        return found
    told = ranking.ranked(
        found.columns, manifest.profile, current.columns, current.score, manifest.task, manifest.threshold
    )
    return replace(found, columns=told)


def _plain(
    settings: Monitoring, manifest: Manifest, seen: Seen, current: Window, alpha: float, now: datetime
) -> DriftReport:
    chosen, known = settings.drift, manifest.profile
    since = current.since or now
    if chosen.rule == "everfit":
        floors = drift.Floors(chosen.floor, chosen.breaks)
        found = drift.drift(known, current.columns, current.score, alpha, floors, since, now)
        before = window(seen.tested.tail(joint.MOST_ROWS), known.columns)
        if before.rows < settings.rows:
            return found
        return replace(found, joint=joint.joint_drift(before.columns, current.columns, alpha, chosen.floor))
    scored = drift.score_test(known.score, current.score)
    rate = rules.measured(chosen, known, current.rows)
    return DriftReport(
        current.rows,
        since,
        now,
        columns=rules.by_rule(chosen, drift.column_tests(known, current.columns)),
        score=rules.by_rule(chosen, [scored])[0] if scored else None,
        alpha=rate,
        floor=0.0,
        rule=chosen.rule,
        measured=rate,
    )


def _seasonal(
    settings: Monitoring, season: seasonal.Seasonal, manifest: Manifest, seen: Seen, alpha: float, now: datetime
) -> DriftReport | None:
    """Windows that are over and were not tested, each against its peers. Where the past before them is too short to
    learn floors from, the newest window alone, for the others are what it is held against."""
    known, length = manifest.profile.columns, seasonal.LENGTH[season]
    names = {FEATURES + column.name: column.name for column in known}
    table = seen.asked.select("time", *names).rename(names)
    every = [one for one in seasonal.windows(table, "time", season, now) if one.rows >= settings.rows]
    mark = seen.fresh["time"][0] if seen.fresh.height else now
    new = [one for one in every if one.start + length > mark]
    past = [one for one in every if one.start + length <= mark]
    floors = seasonal.learned(past, known, season, alpha) if new else None
    if new and floors is None:
        new, past = every[-1:], every[:-1]
        floors = seasonal.learned(past, known, season, alpha)
    if not new or floors is None:
        return None
    tested = [found for one in new for found in seasonal.against_peers(one, every, known, season) or ()]
    chosen = settings.drift
    return DriftReport(
        rows=sum(one.rows for one in new),
        since=new[0].start,
        until=new[-1].start + length,
        columns=drift.judged(tested, alpha, drift.Floors(chosen.floor, chosen.breaks, floors)),
        score=None,
        alpha=alpha,
        floor=chosen.floor,
        phases=tuple(seasonal.name(one.start, season) for one in new),
    )


def stream(
    state: StateStore, settings: Drift, manifest: Manifest, answered: pl.DataFrame, version: int
) -> tuple[StreamAlarm, ...]:
    """The columns that the row-by-row detectors call drifted in what the champion answered since they were last asked;
    none where `run_length` is not set. What they know is kept in the state store, and begins anew with a version."""
    if settings.run_length is None:
        return ()
    last = state.last(STREAMS)
    before = decode(StreamState, last[1], where=f"stream state {last[0]}") if last else StreamState(version)
    if before.version != version:
        before = StreamState(version)
    fresh = answered if before.until is None else answered.filter(pl.col("time") > before.until)
    if not fresh.height:
        return ()
    current = window(fresh, manifest.profile.columns)
    after, found = detectors.watch(
        manifest.profile, current.columns, before, settings.run_length, settings.floor / TOLERATED
    )
    state.append(STREAMS, encode(replace(after, until=fresh["time"][-1])))
    return found
