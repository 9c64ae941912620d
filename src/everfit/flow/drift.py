"""Drift in the newest predictions, by the project's rule: against training, or against the past of the same phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

from everfit.monitoring import drift, joint, ranking, rules, seasonal
from everfit.monitoring.columns import Floats
from everfit.project.sections.monitoring import Monitoring
from everfit.records.model import Manifest
from everfit.records.prediction import PredictionRecord
from everfit.records.profile import ColumnProfile
from everfit.records.table import Kind
from everfit.records.watch import DriftReport

TIME = "\0time"


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
    (needed, and there, only for seasons)."""

    fresh: Sequence[PredictionRecord]
    tested: Sequence[PredictionRecord]
    asked: Sequence[PredictionRecord]


def window(records: Sequence[PredictionRecord], manifest: Manifest) -> Window:
    """The records as columns, those of the profile alone."""
    columns = {known.name: _series(records, known) for known in manifest.profile.columns}
    score = np.array([r.score for r in records], dtype=np.float64)
    return Window(records[0].time if records else None, columns, score)


def find(
    settings: Monitoring, manifest: Manifest, seen: Seen, now_seen: Window, alpha: float, now: datetime
) -> DriftReport | None:
    """The look's drift report; None while there are fewer than `monitoring.rows` new predictions, or, for seasons,
    no window of the same phase is over or too few came before it."""
    if settings.drift.seasonal is not None:
        found = _seasonal(settings, settings.drift.seasonal, manifest, seen, alpha, now)
    elif now_seen.rows >= settings.rows:
        found = _plain(settings, manifest, seen, now_seen, alpha, now)
    else:
        found = None
    if found is None or not now_seen.rows:
        return found
    told = ranking.ranked(
        found.columns, manifest.profile, now_seen.columns, now_seen.score, manifest.task, manifest.threshold
    )
    return replace(found, columns=told)


def _plain(
    settings: Monitoring, manifest: Manifest, seen: Seen, current: Window, alpha: float, now: datetime
) -> DriftReport:
    chosen = settings.drift
    floors = drift.Floors(chosen.floor, chosen.breaks)
    since = current.since or now
    if chosen.rule == "everfit":
        found = drift.drift(manifest.profile, current.columns, current.score, alpha, floors, since, now)
        before = window(seen.tested[-joint.MOST_ROWS :], manifest)
        together = None
        if before.rows >= settings.rows:
            together = joint.joint_drift(before.columns, current.columns, alpha, chosen.floor)
        return replace(found, joint=together)
    scored = drift.score_test(manifest.profile.score, current.score)
    rate = rules.measured(chosen, manifest.profile, current.rows)
    return DriftReport(
        current.rows,
        since,
        now,
        columns=rules.by_rule(chosen, drift.column_tests(manifest.profile, current.columns)),
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
    kinds, asked = manifest.profile.columns, [r for r in seen.asked if _has_all(r, manifest)]
    if not asked:
        return None
    columns = [known.name for known in kinds]
    table = pl.DataFrame({name: _series(asked, known) for name, known in zip(columns, kinds, strict=True)})
    table = table.with_columns(pl.Series(TIME, [r.time for r in asked]))
    every = [one for one in seasonal.windows(table, TIME, season, now) if one.rows >= settings.rows]
    mark = seen.fresh[0].time if seen.fresh else now
    new = [one for one in every if one.start + seasonal.LENGTH[season] > mark]
    past = [one for one in every if one.start + seasonal.LENGTH[season] <= mark]
    floors = seasonal.learned(past, kinds, season, alpha) if new else None
    if new and floors is None:
        new, past = every[-1:], every[:-1]
        floors = seasonal.learned(past, kinds, season, alpha)
    if not new or floors is None:
        return None
    tested = [found for one in new for found in seasonal.against_peers(one, every, kinds, season) or ()]
    chosen = settings.drift
    return DriftReport(
        rows=sum(one.rows for one in new),
        since=new[0].start,
        until=new[-1].start + seasonal.LENGTH[season],
        columns=drift.judged(tested, alpha, drift.Floors(chosen.floor, chosen.breaks, floors)),
        score=None,
        alpha=alpha,
        floor=chosen.floor,
        phases=tuple(seasonal.name(one.start, season) for one in new),
    )


def _has_all(record: PredictionRecord, manifest: Manifest) -> bool:
    return all(known.name in record.features for known in manifest.profile.columns)


def _series(records: Sequence[PredictionRecord], known: ColumnProfile) -> pl.Series:
    values = [r.features.get(known.name) for r in records]
    if known.kind is Kind.CATEGORICAL:
        return pl.Series(known.name, values, dtype=pl.String, strict=False)
    return pl.Series(known.name, values, dtype=pl.Float64, strict=False)
