"""The champion's performance on the labels that counted first since the last look."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from everfit.data import target as targets
from everfit.errors import ProjectError
from everfit.evaluation import metrics
from everfit.evaluation.metric_names import higher_is_better
from everfit.features.encoder import transform
from everfit.monitoring import estimate, performance
from everfit.monitoring.estimate import confidence
from everfit.project.sections.root import Project
from everfit.records.model import Manifest
from everfit.records.table import Task
from everfit.records.watch import ImpactEstimate, PerformanceReport

PROBABILITY = "probabilities."
_OF_LABELS = ("accuracy", "precision", "recall", "f1")


@dataclass(frozen=True, slots=True)
class Fresh:
    """The labels, as a `LabelStore`'s frame, and up to where performance was judged before: when, and at which."""

    known: pl.DataFrame
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
    labelled = matured.join(fresh.known, left_on="id", right_on="prediction_id", how="inner", maintain_order="left")
    pairs = labelled.filter(_counts(fresh, delay))
    if pairs.height < project.monitoring.rows:
        return None
    metric = judged_by(manifest, pairs)
    found = measured(project, manifest, pairs, metric, labelled.height / matured.height, alpha)
    if manifest.task is Task.REGRESSION:
        told = foretold(manifest, pairs)
        same = told is not None and told.metric == found.metric
        return replace(found, estimated=told.current if told is not None and same else None)
    sure = pairs["score"].cast(pl.Float64).drop_nulls().to_numpy()
    sureness = confidence(manifest.task, sure, manifest.threshold)
    right = predicted(pairs, manifest) == truths(pairs, manifest)
    return replace(found, accuracy=float(right.mean()), estimated=float(sureness.mean()) if len(sure) else None)


def measured(
    project: Project, manifest: Manifest, pairs: pl.DataFrame, metric: str, coverage: float, alpha: float
) -> PerformanceReport:
    """The metric on labelled predictions (`score`, `prediction`, of several classes `probabilities.NAME`, and the truth
    as `value` or `number`), with bounds of confidence 1 - `alpha` each."""
    return performance.performance(
        manifest.task,
        truths(pairs, manifest),
        _judged(pairs, manifest, metric),
        metric=metric,
        measure=partial(_value, metric, manifest),
        higher_is_better=higher_is_better(metric),
        expected=expected(manifest, metric),
        expected_labels=manifest.profile.labels,
        tolerance=project.monitoring.tolerance,
        coverage=coverage,
        alpha=alpha,
    )


def foretold(manifest: Manifest, rows: pl.DataFrame) -> ImpactEstimate | None:
    """What the metric is to be expected on predictions without their labels: for classes from their scores alone, for
    numbers from their features; None where nothing foretells it."""
    score = rows["score"].cast(pl.Float64).to_numpy()
    if manifest.task is not Task.REGRESSION:
        return estimate.impact(manifest.task, manifest.profile.score.sample, score, manifest.threshold)
    if manifest.profile.loss_model is None:
        return None
    columns = {name: rows[f"features.{name}"].to_numpy() for name in manifest.features}
    matrix = np.column_stack([transform(manifest.encoder, columns), score])
    return estimate.loss_impact(manifest.profile.loss_model, matrix, manifest.profile.metric)


def judged_by(manifest: Manifest, pairs: pl.DataFrame) -> str:
    """The metric that production is judged by: the project's own, which is also what the gates compare. Predictions of
    several classes from before the log kept all probabilities are judged by accuracy where it needs these."""
    metric = manifest.profile.metric
    if manifest.task is not Task.MULTICLASS or metric.startswith(_OF_LABELS):
        return metric
    return metric if of_classes(pairs, manifest).height == pairs.height else "accuracy"


def expected(manifest: Manifest, metric: str) -> float:
    """The metric in the champion's test."""
    known = manifest.profile
    return known.expected if metric == known.metric else manifest.evaluation.test[metric]


def classes(manifest: Manifest) -> tuple[str, ...]:
    """The classes whose probabilities the log is to be asked for: those of several."""
    return manifest.classes if manifest.task is Task.MULTICLASS else ()


def of_classes(pairs: pl.DataFrame, manifest: Manifest) -> pl.DataFrame:
    """The rows that have the probability of every class."""
    return pairs.drop_nulls([PROBABILITY + name for name in manifest.classes])


def truths(pairs: pl.DataFrame, manifest: Manifest) -> np.ndarray[Any, Any]:
    """(rows,) the truths of labelled predictions as the metrics take them."""
    column = "number" if manifest.task is Task.REGRESSION else "value"
    return targets.encode(
        pairs.select(pl.col(column).alias(manifest.target)), manifest.target, manifest.classes, manifest.task
    )


def counted(project: Project, answered: pl.DataFrame, fresh: Fresh) -> pl.DataFrame:
    """The labelled predictions that count now and did not before, in the order in which they came to count."""
    delay = project.data.target.delay
    matured = answered.filter(pl.col("time") <= fresh.now - delay)
    pairs = matured.join(fresh.known, left_on="id", right_on="prediction_id", how="inner", maintain_order="left")
    return pairs.filter(_counts(fresh, delay)).sort(pl.max_horizontal("known_at", pl.col("time") + delay), "place")


def _counts(fresh: Fresh, delay: timedelta) -> pl.Expr:
    """Whether a label is matured now, and was not there or not matured at the last time."""
    matured = pl.max_horizontal("known_at", pl.col("time") + delay)
    return (matured <= fresh.now) & ((pl.col("place") > fresh.place) | (matured > fresh.since))


def _value(metric: str, manifest: Manifest, y: np.ndarray[Any, Any], scores: np.ndarray[Any, Any]) -> float:
    """The metric under its own sign, and by the threshold of this model; NaN where the rows do not define it."""
    if manifest.task is Task.BINARY and metric.startswith(_OF_LABELS):
        scores = np.eye(2)[metrics.predicted(scores, manifest.task, manifest.threshold)]
    try:
        value = metrics.measure(metric, manifest.task, manifest.classes)(y, scores)
    except ProjectError:  # all of one class: there is nothing to rank
        return float("nan")
    return value if higher_is_better(metric) else -value


def _judged(pairs: pl.DataFrame, manifest: Manifest, metric: str) -> np.ndarray[Any, Any]:
    """Of several classes, for metrics of the predicted one, scores that are certain of it: equal probabilities are no
    matter then, and those of all classes need not be there."""
    if manifest.task is Task.MULTICLASS and metric.startswith(_OF_LABELS):
        sure: np.ndarray[Any, Any] = np.eye(len(manifest.classes))[predicted(pairs, manifest)]
        return sure
    return scores(pairs, manifest)


def scores(pairs: pl.DataFrame, manifest: Manifest) -> np.ndarray[Any, Any]:
    """Scores as the metric takes them: (rows, classes) probabilities, or of a regression (rows,) values."""
    if manifest.task is Task.MULTICLASS:
        return pairs.select(PROBABILITY + name for name in manifest.classes).to_numpy()
    score = pairs["score"].cast(pl.Float64).to_numpy()
    return score if manifest.task is Task.REGRESSION else np.column_stack([1 - score, score])


def predicted(pairs: pl.DataFrame, manifest: Manifest) -> np.ndarray[Any, Any]:
    """(rows,) what was answered: the class's place, or the value."""
    if manifest.task is Task.MULTICLASS:
        places = {name: place for place, name in enumerate(manifest.classes)}
        return np.array([places[name] for name in pairs["prediction"]], dtype=np.int64)
    return metrics.predicted(scores(pairs, manifest), manifest.task, manifest.threshold)
