"""The figures of a look, under the names that people look for beside those of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite

from everfit.errors import EverfitError
from everfit.flow import monitoring
from everfit.ports import Progress, StateStore, Tracker
from everfit.records.watch import MonitorReport, PerformanceReport


def figures(report: MonitorReport) -> Mapping[str, float]:
    """What was tested, judged or checked in the look; empty where nothing was."""
    found = dict(_found(report))
    if not found:
        return {}
    known = {"predictions_count": float(report.predictions), **found}
    return {name: value for name, value in known.items() if isfinite(value)}


def track(tracker: Tracker, report: MonitorReport, state: StateStore, progress: Progress) -> None:
    """Logs the look that was written last, if it found anything; that the tracker is away stops nothing."""
    found, last = figures(report), state.last(monitoring.LOOKS)
    if not found or last is None or report.version is None:
        return
    try:
        tracker.track(report.version, last[0], report.at, found)
    except EverfitError as error:
        progress.note(f"the look is not in MLflow: {error.what}")


def _found(report: MonitorReport) -> Iterator[tuple[str, float]]:
    drift, quality = report.drift, report.quality
    if drift is not None:
        yield "drift_score", drift.drift_score
        yield "drifted_columns", float(len({one.column for one in drift.columns if one.drifted}))
        yield "largest_column_drift", max((one.effect for one in drift.columns), default=0.0)
        if drift.score is not None:
            yield "prediction_drift_score", drift.score.effect
    if report.performance is not None:
        yield from _performance(report.performance)
    if quality is not None:
        yield "data_quality_score", quality.score
    if report.impact is not None:
        yield "estimated_loss", report.impact.drop


def _performance(found: PerformanceReport) -> Iterator[tuple[str, float]]:
    named = {
        f"production_{found.metric}": found.value,
        f"production_{found.metric}_low": found.low,
        f"production_{found.metric}_high": found.high,
        "production_accuracy": found.accuracy,
        "production_accuracy_estimated": found.estimated,
    }
    yield from ((name, value) for name, value in named.items() if value is not None)
    yield "label_coverage", found.coverage
    yield "labels_count", float(found.labels)
