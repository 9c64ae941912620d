"""The champion's performance on the labels that counted first since the last look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from everfit.data import target as targets
from everfit.evaluation import metrics
from everfit.monitoring import performance
from everfit.monitoring.estimate import confidence
from everfit.project.sections.root import Project
from everfit.records.model import Manifest
from everfit.records.prediction import Label
from everfit.records.table import Task
from everfit.records.watch import PerformanceReport

_OF_LABELS = ("accuracy", "precision", "recall", "f1")


@dataclass(frozen=True, slots=True)
class Fresh:
    """The labels, and up to where performance was judged before: when, and at which of them."""

    known: Mapping[str, Label]
    since: datetime
    place: int
    now: datetime


def judge(
    project: Project, manifest: Manifest, answered: pl.DataFrame, fresh: Fresh, alpha: float
) -> PerformanceReport | None:
    """The metric on the predictions of `answered` (`id`, `time`, `score`, `prediction`) whose label is there and
    matured now and was not at the last time, once there are enough of them."""
    delay = project.data.target.delay
    matured = answered.filter(pl.col("time") <= fresh.now - delay)
    labelled = matured.join(_labels(fresh.known), on="id", how="inner", maintain_order="left")
    pairs = labelled.filter(_counts(fresh, delay))
    if pairs.height < project.monitoring.rows:
        return None
    truths = pl.DataFrame({manifest.target: [fresh.known[name].value for name in pairs["id"]]}, strict=False)
    y = targets.encode(truths, manifest.target, manifest.classes, manifest.task)
    scores, metric = _scores(pairs, manifest)
    found = performance.performance(
        manifest.task,
        y,
        scores,
        metric=metric,
        measure=partial(_value, metric, manifest),
        higher_is_better=metrics.higher_is_better(metric),
        expected=manifest.evaluation.test[metric],
        expected_labels=manifest.profile.labels,
        tolerance=project.monitoring.tolerance,
        coverage=labelled.height / matured.height,
        alpha=alpha,
    )
    if manifest.task is Task.REGRESSION:
        return found
    sure = pairs["score"].cast(pl.Float64).drop_nulls().to_numpy()
    foretold = confidence(manifest.task, sure, manifest.threshold)
    accuracy = metrics.predicted(scores, manifest.task, manifest.threshold) == y
    return replace(found, accuracy=float(accuracy.mean()), estimated=float(foretold.mean()) if len(sure) else None)


def _labels(known: Mapping[str, Label]) -> pl.DataFrame:
    columns = {
        "id": [label.prediction_id for label in known.values()],
        "known_at": [label.known_at for label in known.values()],
        "place": [label.place for label in known.values()],
    }
    return pl.DataFrame(columns, schema={"id": pl.String, "known_at": pl.Datetime("us", "UTC"), "place": pl.Int64})


def _counts(fresh: Fresh, delay: timedelta) -> pl.Expr:
    """Whether a label is matured now, and was not there or not matured at the last time."""
    matured = pl.max_horizontal("known_at", pl.col("time") + delay)
    return (matured <= fresh.now) & ((pl.col("place") > fresh.place) | (matured > fresh.since))


def _value(metric: str, manifest: Manifest, y: np.ndarray[Any, Any], scores: np.ndarray[Any, Any]) -> float:
    """The metric under its own sign, and by the threshold of this model."""
    if manifest.task is Task.BINARY and metric.startswith(_OF_LABELS):
        scores = np.eye(2)[metrics.predicted(scores, manifest.task, manifest.threshold)]
    value = metrics.measure(metric, manifest.task, manifest.classes)(y, scores)
    return value if metrics.higher_is_better(metric) else -value


def _scores(pairs: pl.DataFrame, manifest: Manifest) -> tuple[np.ndarray[Any, Any], str]:
    """Scores as the metric takes them. The log keeps one score a row, so several classes are judged by accuracy."""
    if manifest.task is Task.MULTICLASS:
        places = {name: place for place, name in enumerate(manifest.classes)}
        return np.eye(len(places))[[places[name] for name in pairs["prediction"]]], "accuracy"
    score = pairs["score"].cast(pl.Float64).to_numpy()
    if manifest.task is Task.REGRESSION:
        return score, manifest.profile.metric
    return np.column_stack([1 - score, score]), manifest.profile.metric
