"""One look at production: what the champion was asked and what became true, held against its profile.

Each prediction is tested for drift once and each label for performance once, in windows that do not overlap, so that
the false-alarm rate of a look is what it says, however often one looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from everfit.data import target as targets
from everfit.evaluation import metrics
from everfit.monitoring import alarms, drift, estimate, performance
from everfit.ports import LabelStore, PredictionLog, StateStore
from everfit.project.sections import Project
from everfit.records.codec import decode, encode
from everfit.records.model import Manifest
from everfit.records.prediction import Label, PredictionRecord
from everfit.records.release import ReleaseState
from everfit.records.table import Kind, Task, Value
from everfit.records.watch import (
    Alarm,
    Decision,
    DriftReport,
    ImpactEstimate,
    MonitorReport,
    PerformanceReport,
    Retraining,
)
from everfit.retraining import policy

LOOKS, ALARMS, RETRAININGS = "looks", "alarms", "retrainings"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Watched:
    """What a look reads: the champion's manifest, the ledger's state, the log, the labels, the history of looks."""

    project: Project
    manifest: Manifest | None
    release: ReleaseState
    log: PredictionLog
    labels: LabelStore
    state: StateStore


def look(watched: Watched, now: datetime | None = None, forced: bool = False) -> MonitorReport:
    """Looks, decides, and writes both down. `forced` asks for a retraining whatever is found."""
    now = now or datetime.now(UTC)
    past = looks(watched.state)
    settings = watched.project.monitoring
    alpha = alarms.alpha_per_look(settings)
    records = _answered(watched, now)
    drifted = impact = judged = None
    if watched.manifest is not None:
        window = [r for r in records if r.time >= _last(past, "drift")]
        if len(window) >= settings.rows:
            drifted, impact = _drift(watched, window, alpha, now)
        judged = _performance(watched, records, _last(past, "performance"), alpha, now)
    found = alarms.alarms(at=now, drift=drifted, performance=judged, impact=impact)
    decision = _decide(watched, now, drifted, judged, impact, forced)
    report = MonitorReport(now, len(records), drifted, judged, impact, found, decision)
    watched.state.append(LOOKS, encode(report))
    return report


def looks(state: StateStore) -> list[MonitorReport]:
    """All looks so far, oldest first."""
    return [decode(MonitorReport, text, where=f"look {number}") for number, text in state.read(LOOKS)]


def retrainings(state: StateStore) -> list[Retraining]:
    """All retrainings so far, oldest first."""
    return [decode(Retraining, text, where=f"retraining {number}") for number, text in state.read(RETRAININGS)]


def due(state: StateStore, found: Sequence[Alarm]) -> tuple[Alarm, ...]:
    """The alarms that were not delivered before."""
    sent = {decode(Alarm, text, where=f"alarm {number}").key for number, text in state.read(ALARMS)}
    return alarms.unsent(found, sent)


def _answered(watched: Watched, now: datetime) -> list[PredictionRecord]:
    """What the champion answered since it became champion, within the longest window."""
    since = max(now - watched.project.monitoring.window, watched.release.champion_since or _EPOCH)
    champion = watched.release.champion
    return [r for r in watched.log.read(since, now) if r.version == champion and r.error is None]


def _last(past: Sequence[MonitorReport], part: str) -> datetime:
    """When that part was last looked at."""
    return max((report.at for report in past if getattr(report, part) is not None), default=_EPOCH)


def _drift(
    watched: Watched, window: Sequence[PredictionRecord], alpha: float, now: datetime
) -> tuple[DriftReport, ImpactEstimate | None]:
    manifest = watched.manifest
    assert manifest is not None
    score = np.array([r.score for r in window], dtype=np.float64)
    kinds = {column.name: column.kind for column in manifest.profile.columns}
    columns = {name: _column([r.features.get(name) for r in window], kind) for name, kind in kinds.items()}
    floor = watched.project.monitoring.drift.floor
    report = drift.drift(manifest.profile, columns, score, alpha, floor, window[0].time, now)
    return report, estimate.impact(manifest.task, manifest.profile.score.sample, score)


def _performance(
    watched: Watched, records: Sequence[PredictionRecord], since: datetime, alpha: float, now: datetime
) -> PerformanceReport | None:
    """The metric on the labels that became known since the last time, once there are enough of them."""
    manifest, project = watched.manifest, watched.project
    assert manifest is not None
    known: Mapping[str, Label] = watched.labels.latest()
    matured = [r for r in records if r.time <= now - project.data.target.delay]
    pairs = [(r, known[r.id]) for r in matured if r.id in known and since < known[r.id].known_at <= now]
    if len(pairs) < project.monitoring.rows:
        return None
    y = targets.encode_values([label.value for _, label in pairs], manifest.classes, manifest.task)
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
        coverage=sum(r.id in known for r in matured) / len(matured),
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


def _decide(
    watched: Watched,
    now: datetime,
    drifted: DriftReport | None,
    judged: PerformanceReport | None,
    impact: ImpactEstimate | None,
    forced: bool,
) -> Decision:
    past = retrainings(watched.state)
    return policy.decide(
        watched.project.retraining,
        watched.project.monitoring.drift,
        now=now,
        last_retraining=past[-1].at if past else None,
        champion_since=watched.release.champion_since,
        performance=judged,
        drift=drifted,
        impact=impact,
        forced=forced,
    )
