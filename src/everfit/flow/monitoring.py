"""One look at production: what the champion was asked and what became true, held against its profile.

Each prediction is tested for drift once and each label for performance once, in windows that do not overlap, so that
the false-alarm rate of a look is what it says, however often one looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from everfit.data import target as targets
from everfit.evaluation import metrics
from everfit.flow import retraining
from everfit.monitoring import alarms, drift, estimate, performance
from everfit.ports import LabelStore, PredictionLog, StateStore
from everfit.project.sections.root import Project
from everfit.records.codec import decode, encode
from everfit.records.model import Manifest
from everfit.records.prediction import Label, PredictionRecord
from everfit.records.release import ReleaseState
from everfit.records.table import Kind, Task, Value
from everfit.records.watch import (
    Alarm,
    DriftReport,
    ImpactEstimate,
    MonitorReport,
    PerformanceReport,
)
from everfit.retraining import policy

LOOKS = "looks"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Watched:
    """What a look reads: the ledger's state, the log, the labels, the history of looks."""

    project: Project
    release: ReleaseState
    log: PredictionLog
    labels: LabelStore
    state: StateStore


@dataclass(frozen=True, slots=True)
class Window:
    """The predictions that one drift test is about, as columns: features by name, and the score."""

    since: datetime
    columns: Mapping[str, np.ndarray[Any, Any]]
    score: np.ndarray[Any, Any]


def look(
    watched: Watched, manifest: Manifest | None, now: datetime | None = None, forced: bool = False
) -> MonitorReport:
    """Looks, decides, and writes both down. `manifest` is the champion's, None before the first release; `forced`
    asks for a retraining whatever is found."""
    now = now or datetime.now(UTC)
    records = _answered(watched, now)
    recent = sum(record.time >= now - watched.project.monitoring.window for record in records)
    before = _marks(watched.state)
    found = _Found(None, None, None, ()) if manifest is None else _find(watched, manifest, records, before, now)
    past = [one.at for one in retraining.history(watched.state) if one.retrained]
    decision = policy.decide(
        watched.project.retraining,
        watched.project.monitoring.drift,
        now=now,
        last_retraining=past[-1] if past else None,
        champion_since=watched.release.champion_since,
        performance=found.performance,
        drift=found.drift,
        impact=found.impact,
        forced=forced,
        canary=watched.release.challenger,
    )
    report = MonitorReport(
        now,
        recent,
        found.drift,
        found.performance,
        found.impact,
        found.alarms,
        decision,
        labels=found.labels if found.performance else before.labels,
        tested=now if found.drift else before.tested,
        judged=now if found.performance else before.judged,
    )
    watched.state.append(LOOKS, encode(report))
    return report


def looks(state: StateStore) -> list[MonitorReport]:
    """All looks so far, oldest first."""
    return [decode(MonitorReport, text, where=f"look {number}") for number, text in state.read(LOOKS)]


def _answered(watched: Watched, now: datetime) -> list[PredictionRecord]:
    """What the champion answered since it became champion, and which is in the longest window now or was there when
    its label came due."""
    reach = watched.project.monitoring.window + watched.project.data.target.delay
    since = max(now - reach, watched.release.champion_since or _EPOCH)
    champion = watched.release.champion
    return [r for r in watched.log.read(since, now) if r.version == champion and r.error is None]


@dataclass(frozen=True, slots=True)
class _Marks:
    """Up to where earlier looks have come."""

    tested: datetime = _EPOCH
    judged: datetime = _EPOCH
    labels: int = 0


def _marks(state: StateStore) -> _Marks:
    """From the last look alone, for each hands on what the ones before have told."""
    last = state.last(LOOKS)
    if last is None:
        return _Marks()
    found = decode(MonitorReport, last[1], where=f"look {last[0]}")
    return _Marks(found.tested or _EPOCH, found.judged or _EPOCH, found.labels)


@dataclass(frozen=True, slots=True)
class _Found:
    drift: DriftReport | None
    impact: ImpactEstimate | None
    performance: PerformanceReport | None
    alarms: tuple[Alarm, ...]
    labels: int = 0


def _find(
    watched: Watched, manifest: Manifest, records: Sequence[PredictionRecord], before: _Marks, now: datetime
) -> _Found:
    settings = watched.project.monitoring
    alpha = alarms.alpha_per_look(settings)
    untested = max(before.tested, now - settings.window)
    fresh = [record for record in records if record.time >= untested]
    window = _window(fresh, manifest) if len(fresh) >= settings.rows else None
    drifted = impact = None
    if window is not None:
        drifted = drift.drift(
            manifest.profile, window.columns, window.score, alpha, settings.drift.floor, window.since, now
        )
        impact = estimate.impact(manifest.task, manifest.profile.score.sample, window.score, manifest.threshold)
    known = watched.labels.latest()
    fresh_labels = _Fresh(known, before.judged, before.labels, now)
    judged = _performance(watched.project, manifest, records, fresh_labels, alpha)
    raised = alarms.alarms(
        now,
        watched.release.champion or 0,
        manifest.profile,
        window.columns if window else {},
        window.score if window else None,
        drift=drifted,
        performance=judged,
        impact=impact,
    )
    newest = max((label.place for label in known.values()), default=0) if judged else 0
    return _Found(drifted, impact, judged, raised, newest)


def _window(records: Sequence[PredictionRecord], manifest: Manifest) -> Window:
    kinds = {column.name: column.kind for column in manifest.profile.columns}
    columns = {name: _column([r.features.get(name) for r in records], kind) for name, kind in kinds.items()}
    return Window(records[0].time, columns, np.array([r.score for r in records], dtype=np.float64))


@dataclass(frozen=True, slots=True)
class _Fresh:
    """The labels, and up to where performance was judged before: when, and at which of them."""

    known: Mapping[str, Label]
    since: datetime
    place: int
    now: datetime

    def counts(self, record: PredictionRecord, delay: timedelta) -> bool:
        """Whether the prediction's label is there and matured now, and was not at the last time."""
        label = self.known.get(record.id)
        if label is None:
            return False
        matured = max(label.known_at, record.time + delay)
        return matured <= self.now and (label.place > self.place or matured > self.since)


def _performance(
    project: Project, manifest: Manifest, records: Sequence[PredictionRecord], fresh: _Fresh, alpha: float
) -> PerformanceReport | None:
    """The metric on the labels that counted first since the last time, once there are enough of them."""
    delay = project.data.target.delay
    matured = [r for r in records if r.time <= fresh.now - delay]
    pairs = [(r, fresh.known[r.id]) for r in matured if fresh.counts(r, delay)]
    if len(pairs) < project.monitoring.rows:
        return None
    truths = pl.DataFrame({manifest.target: [label.value for _, label in pairs]}, strict=False)
    y = targets.encode(truths, manifest.target, manifest.classes, manifest.task)
    scores, metric = _scores([r for r, _ in pairs], manifest)
    return performance.performance(
        manifest.task,
        y,
        scores,
        metric=metric,
        measure=metrics.measure(metric, manifest.task, manifest.classes),
        higher_is_better=metrics.higher_is_better(metric),
        expected=manifest.evaluation.test[metric],
        expected_labels=manifest.profile.labels,
        tolerance=project.monitoring.tolerance,
        coverage=sum(r.id in fresh.known for r in matured) / len(matured),
        alpha=alpha,
    )


def _scores(records: Sequence[PredictionRecord], manifest: Manifest) -> tuple[np.ndarray[Any, Any], str]:
    """Scores as the metric takes them. The log keeps one score a row, so several classes are judged by accuracy."""
    if manifest.task is Task.MULTICLASS:
        places = {name: place for place, name in enumerate(manifest.classes)}
        return np.eye(len(places))[[places[str(r.prediction)] for r in records]], "accuracy"
    score = np.array([r.score for r in records], dtype=np.float64)
    if manifest.task is Task.REGRESSION:
        return score, manifest.profile.metric
    return np.column_stack([1 - score, score]), manifest.profile.metric


def _column(values: Sequence[Value], kind: Kind) -> np.ndarray[Any, Any]:
    if kind is Kind.CATEGORICAL:
        return np.array(values, dtype=object)
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
