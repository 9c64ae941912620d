"""What the report shows, gathered from the records, the prediction log and the labels; it only reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl

from everfit.evaluation.metric_names import higher_is_better
from everfit.flow import alerting, cohorts, drift, monitoring, quality, retraining, schedule
from everfit.flow.monitoring import Watched
from everfit.monitoring import unrolled
from everfit.monitoring.performance import margin
from everfit.monitoring.shapes import shape
from everfit.records.cohorts import Cohorts
from everfit.records.model import Manifest
from everfit.records.prediction import MIRRORED
from everfit.records.watch import DriftReport, MonitorReport
from everfit.reporting.report import ColumnView, Day, Report

LOOKS = 200
_FIELDS = ("id", "time", "version", "error", "score")


def gather(watched: Watched, environment: str, manifest: Manifest | None, now: datetime) -> Report:
    """The report of the champion whose `manifest` it is: the newest drift test's own window, or `monitoring.window`
    where none has been made."""
    looks = monitoring.looks(watched.state, LOOKS)
    project, state = watched.project, watched.state
    found = Report(
        project.name,
        environment,
        now,
        looks=tuple(looks),
        days=_days(watched, now),
        alarms=tuple(alerting.history(state)),
        retrainings=tuple(retraining.history(state)),
        slots=tuple(schedule.history(state)),
        tolerance=project.monitoring.tolerance,
        checked=tuple(quality.history(state, looks)[-LOOKS:]),
    )
    if manifest is None:
        return found
    tested, window, (since, until) = _window(watched, manifest, looks, now)
    personal = project.data.personal
    return _with_columns(found, watched, manifest, tested, window, set(personal), since, until)


def windows(watched: Watched, manifest: Manifest, now: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The reference and the window of the newest drift test as rows of the same columns, the score among them, without
    personal columns: of the reference each column's distribution as the profile has it, see `unrolled.rows`."""
    _, window, _ = _window(watched, manifest, monitoring.looks(watched.state, LOOKS), now)
    profile, personal = manifest.profile, watched.project.data.personal
    known = [one for one in profile.columns if one.name not in personal]
    reference = unrolled.rows([*known, profile.score])
    values = {**window.columns, profile.score.name: pl.Series(profile.score.name, window.score)}
    current = pl.DataFrame([_as(values[name], kind).alias(name) for name, kind in reference.schema.items()])
    return reference, current


def _as(values: pl.Series, kind: pl.DataType) -> pl.Series:
    return values.dt.epoch("us").cast(pl.Float64) / 1e6 if values.dtype.is_temporal() else values.cast(kind)


def _window(
    watched: Watched, manifest: Manifest, looks: list[MonitorReport], now: datetime
) -> tuple[DriftReport | None, drift.Window, tuple[datetime, datetime]]:
    tested = _tested(watched, looks)
    since = tested.since if tested else now - watched.project.monitoring.window
    until = tested.until if tested else now
    table = _answered(watched, manifest, since, until)
    return tested, drift.window(table, manifest.profile.columns), (since, until)


def _with_columns(
    found: Report,
    watched: Watched,
    manifest: Manifest,
    tested: DriftReport | None,
    window: drift.Window,
    personal: set[str],
    since: datetime,
    until: datetime,
) -> Report:
    tests = tested.columns if tested else ()
    views = [
        ColumnView(
            known.name,
            tuple(test for test in tests if test.column == known.name),
            None if known.name in personal else shape(known, window.columns[known.name]),
            known.name in personal,
        )
        for known in manifest.profile.columns
    ]
    score = shape(manifest.profile.score, window.score)
    return replace(
        found,
        version=watched.release.champion,
        family=manifest.family,
        rows=window.rows,
        since=since,
        until=until,
        columns=tuple(views),
        score=ColumnView("score", (tested.score,) if tested and tested.score else (), score),
        higher_is_better=higher_is_better(manifest.profile.metric),
        tolerance=margin(manifest.profile.metric, manifest.profile.expected, watched.project.monitoring.tolerance),
        quality=manifest.quality,
        cohorts=_cohorts(watched, manifest, found.at),
    )


def _cohorts(watched: Watched, manifest: Manifest, now: datetime) -> Cohorts | None:
    """Week by week as far as the looks look back, and the labels take to come."""
    champion, project = watched.release.champion, watched.project
    if champion is None:
        return None
    since = now - project.monitoring.window - project.data.target.delay
    return cohorts.cohorts(project, manifest, champion, watched.log, watched.labels, since, now, "week")


def _tested(watched: Watched, looks: list[MonitorReport]) -> DriftReport | None:
    """The newest drift test of the champion."""
    champion = watched.release.champion
    return next((look.drift for look in reversed(looks) if look.drift and look.version in (None, champion)), None)


def _answered(watched: Watched, manifest: Manifest, since: datetime, until: datetime) -> pl.DataFrame:
    found = watched.log.frame(_FIELDS, since, until + timedelta(microseconds=1), drift.kinds(manifest))
    return found.filter(pl.col("error").is_null() & (pl.col("version") == (watched.release.champion or 0)))


def _days(watched: Watched, now: datetime) -> tuple[Day, ...]:
    """What was asked in `monitoring.window`, whoever answered; copies for a shadow are no predictions."""
    settings, delay = watched.project.monitoring, watched.project.data.target.delay
    found = watched.log.frame(["id", "time", "error"], now - settings.window, now)
    known = watched.labels.frame(now - settings.window - monitoring.CLOCKS)["prediction_id"].unique()
    due, labelled = pl.col("time") <= now - delay, pl.col("id").is_in(known.implode())
    table = (
        found.filter(~pl.col("id").str.ends_with(MIRRORED))
        .group_by(pl.col("time").dt.date().alias("day"))
        .agg(
            pl.len().alias("predictions"),
            pl.col("error").is_not_null().sum().alias("errors"),
            due.sum().alias("due"),
            (due & labelled).sum().alias("labelled"),
        )
        .sort("day")
    )
    return tuple(Day(**row) for row in table.iter_rows(named=True))
