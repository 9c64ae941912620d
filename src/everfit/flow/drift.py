"""Drift in the newest predictions, by the project's rule: against training, or against the past of the same phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from everfit.records.watch import ColumnDrift, DriftReport, StreamAlarm, StreamState

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
    learn floors from, the newest window alone, for the others are what it is held against. The score is that of the
    champion's own answers alone, and is tested from when there are windows enough of these."""
    known, length = manifest.profile.columns, seasonal.LENGTH[season]
    names = {FEATURES + column.name: column.name for column in known}
    every = _windows(seen.asked.select("time", *names).rename(names), settings, season, now)
    mark = seen.fresh["time"][0] if seen.fresh.height else now
    new = [one for one in every if one.start + length > mark]
    held = seasonal.of_columns(known)
    found = _new(new, every, held, season, alpha)
    if found is None and new:
        new = every[-1:]
        found = _new(new, every, held, season, alpha)
    if found is None:
        return None
    chosen = settings.drift
    answers = pl.concat([frame.select("time", pl.col("score").cast(pl.Float64)) for frame in (seen.tested, seen.fresh)])
    scored = _windows(answers.drop_nulls(), settings, season, now)
    newly = {one.start for one in new}
    score = _new([one for one in scored if one.start in newly], scored, seasonal.of_score(), season, alpha)
    joint = _new(new, every, seasonal.of_all(every), season, alpha)
    return DriftReport(
        rows=sum(one.rows for one in new),
        since=new[0].start,
        until=new[-1].start + length,
        columns=drift.judged(found.tests, alpha, found.floors(chosen)),
        score=_worst(score, alpha, chosen),
        alpha=alpha,
        floor=chosen.floor,
        joint=_worst(joint, alpha, chosen),
        phases=tuple(seasonal.name(one.start, season) for one in new),
    )


@dataclass(frozen=True, slots=True)
class _Newest:
    """The tests of windows against their peers, and the floors that were learned from the windows before them."""

    tests: Sequence[drift.Tested]
    learned: Mapping[tuple[str, str], float]

    def floors(self, chosen: Drift) -> drift.Floors:
        return drift.Floors(chosen.floor, chosen.breaks, self.learned)


def _worst(found: _Newest | None, alpha: float, chosen: Drift) -> ColumnDrift | None:
    return None if found is None else drift.worst(found.tests, alpha, found.floors(chosen))


def _new(
    new: Sequence[seasonal.Phased],
    every: Sequence[seasonal.Phased],
    held: seasonal.Held,
    season: seasonal.Seasonal,
    alpha: float,
) -> _Newest | None:
    """None where there is no new window, or too few came before. Several share the rate of the look."""
    if not new:
        return None
    floors = seasonal.learned([one for one in every if one.start < new[0].start], held, season, alpha / len(new))
    if floors is None:
        return None
    tests = [found for one in new for found in seasonal.against_peers(one, every, held, season) or ()]
    return _Newest(tests, floors) if tests else None


def _windows(
    table: pl.DataFrame, settings: Monitoring, season: seasonal.Seasonal, now: datetime
) -> list[seasonal.Phased]:
    """Those that are over and have rows enough."""
    return [one for one in seasonal.windows(table, "time", season, now) if one.rows >= settings.rows]


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
