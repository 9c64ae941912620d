"""How well the predictions of a day or a week have turned out, so far as they are due and labelled."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import polars as pl

from everfit.flow import performance
from everfit.flow.monitoring import CLOCKS
from everfit.ports import LabelStore, PredictionLog
from everfit.project.sections.root import Project
from everfit.records.cohorts import Cohort, Cohorts
from everfit.records.model import Manifest
from everfit.records.prediction import MIRRORED

By = Literal["day", "week"]
_LENGTH = {"day": "1d", "week": "1w"}
_TAIL = 0.025


def cohorts(
    project: Project,
    manifest: Manifest,
    version: int,
    log: PredictionLog,
    labels: LabelStore,
    since: datetime,
    now: datetime,
    by: By = "week",
) -> Cohorts:
    """The answers of a version since then, by day or week."""
    delay = project.data.target.delay
    fields = ("id", "time", "version", "error", "score", "prediction")
    rows = log.frame(fields, since, now, classes=performance.classes(manifest))
    answered = rows.filter(
        pl.col("error").is_null(), ~pl.col("id").str.ends_with(MIRRORED), pl.col("version") == version
    )
    known = labels.frame(since - CLOCKS).rename({"prediction_id": "id"})
    joined = answered.join(known, on="id", how="left", maintain_order="left").with_columns(
        pl.col("time").dt.truncate(_LENGTH[by]).alias("start"),
        (pl.col("time") <= now - delay).alias("due"),
        (pl.col("known_at") > pl.col("time") + delay).alias("late"),
    )
    metric = performance.judged_by(manifest, joined.filter(pl.col("known_at").is_not_null()))
    found = [
        _cohort(project, manifest, metric, start, part)
        for (start,), part in joined.sort("start", maintain_order=True).group_by("start", maintain_order=True)
    ]
    return Cohorts(version, metric, performance.expected(manifest, metric), tuple(found))


def _cohort(project: Project, manifest: Manifest, metric: str, start: object, part: pl.DataFrame) -> Cohort:
    if not isinstance(start, datetime):  # for the types: the column holds nothing else
        raise TypeError(start)
    due = part.filter("due")
    pairs = due.filter(pl.col("known_at").is_not_null())
    late = int(pairs["late"].sum()) if project.data.target.delay else 0
    bare = Cohort(start, part.height, due.height, pairs.height, late)
    if not pairs.height:
        return bare
    found = performance.measured(project, manifest, pairs, metric, pairs.height / due.height, _TAIL)
    return Cohort(start, part.height, due.height, pairs.height, late, found.value, found.low, found.high)
