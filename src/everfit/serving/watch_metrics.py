"""What monitoring and the pipelines have found, for Prometheus: read from the records when they are asked for, so that
every process that serves shows the same, whoever looked. Jobs that end before anybody asks push the same to a
Pushgateway.

Every label is bounded: features by the model, alarms by their kind, runs by pipeline and status, checks by
the project.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, push_to_gateway
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from everfit.errors import EverfitError, StorageError
from everfit.records.quality import QualityLook
from everfit.records.release import EventKind
from everfit.records.run import RunRecord, Status
from everfit.records.schedule import Slot, Turnout
from everfit.records.watch import Alarm, AlarmKind, AlarmState, DriftReport, LossReport, MonitorReport

_DEPLOYED = (EventKind.RELEASED, EventKind.PROMOTED, EventKind.ROLLED_BACK)
_TESTED = {
    "model_test_accuracy": "accuracy",
    "model_precision": "precision",
    "model_recall": "recall",
    "model_f1_score": "f1",
    "model_test_roc_auc": "roc_auc",
    "model_test_log_loss": "log_loss",
    "model_test_rmse": "rmse",
    "model_test_mae": "mae",
    "model_test_r2": "r2",
}


@dataclass(frozen=True, slots=True)
class Observed:
    """The last look, the last one that judged performance, the alarms that are not resolved; how many runs of each
    pipeline `ended` with each status, and the `last` one of each; the last time of each job; the quality of the last
    window and of the last run's table; the rows that runs have read in all; how often each event of the ledger
    happened; the test metrics of the versions that answer; and the losses on the newest labels."""

    look: MonitorReport | None
    judged: MonitorReport | None
    alarms: tuple[Alarm, ...]
    ended: Mapping[tuple[str, Status], int] = field(default_factory=dict)
    last: tuple[RunRecord, ...] = ()
    slots: tuple[Slot, ...] = ()
    quality: tuple[QualityLook, ...] = ()
    rows: int = 0
    events: Mapping[str, int] = field(default_factory=dict)
    tests: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    losses: LossReport | None = None


class WatchMetrics(Collector):
    """Asks `read` at each scrape; while the records cannot be read it shows nothing."""

    def __init__(self, read: Callable[[], Observed]) -> None:
        self._read = read

    def describe(self) -> list[Metric]:
        """Nothing: registering must not read."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics as prometheus_client writes them."""
        try:
            found = self._read()
        except EverfitError:
            return
        if found.look is not None:
            at = found.look.at.timestamp()
            yield GaugeMetricFamily("monitor_look_timestamp_seconds", "When production was last looked at.", at)
            yield GaugeMetricFamily("monitor_predictions", "Predictions in its window.", found.look.predictions)
            if found.look.drift is not None:
                yield from _drift(found.look.drift)
        if found.judged is not None:
            yield from _performance(found.judged)
        yield from _losses(found.losses)
        yield _alarms(found.alarms)
        yield from _runs(found.ended, found.last)
        yield from _models(found)
        yield from _quality(found.quality)
        yield from _schedule(found.slots)


def push(url: str, job: str, observed: Observed, timeout: float = 5.0) -> None:
    """Replaces what the Pushgateway holds of this job. StorageError when it cannot be reached."""
    registry = CollectorRegistry()
    registry.register(WatchMetrics(lambda: observed))
    try:
        push_to_gateway(url, job=job, registry=registry, timeout=timeout)
    except OSError as error:
        raise StorageError(
            f"the metrics were not pushed: {error}",
            where="Pushgateway",
            fix="check monitoring.pushgateway and that it can be reached from here",
        ) from error


def _drift(report: DriftReport) -> Iterator[Metric]:
    moved = GaugeMetricFamily(
        "feature_drift_score", "Share of rows of the feature that moved since training.", labels=("feature",)
    )
    drifted = GaugeMetricFamily("feature_drifted", "1 where the feature has drifted.", labels=("feature",))
    for name in dict.fromkeys(one.column for one in report.columns):
        tests = [one for one in report.columns if one.column == name]
        moved.add_metric((name,), max(one.effect for one in tests))
        drifted.add_metric((name,), any(one.drifted for one in tests))
    yield from (moved, drifted)
    yield GaugeMetricFamily("drift_score", "Share of features that drifted.", report.drift_score)
    if report.score is not None:
        yield GaugeMetricFamily("prediction_drift_score", "Share of predictions that moved.", report.score.effect)


def _performance(look: MonitorReport) -> Iterator[Metric]:
    found = look.performance
    if found is None or found.value is None:
        return
    for name, text, value in (
        ("production_performance", "The metric on matured labels.", found.value),
        ("production_performance_expected", "The metric in the test.", found.expected),
    ):
        family = GaugeMetricFamily(name, text, labels=("metric",))
        family.add_metric((found.metric,), value)
        yield family
    yield GaugeMetricFamily("label_coverage", "Share of predictions due that have a label.", found.coverage)
    if found.accuracy is not None:
        yield GaugeMetricFamily("model_accuracy", "Accuracy on matured labels.", found.accuracy)
    if found.estimated is None:
        return
    if found.accuracy is not None:
        yield GaugeMetricFamily("model_accuracy_estimated", "What was estimated of it before.", found.estimated)
    told = "What was estimated of it, or of accuracy, without labels."
    family = GaugeMetricFamily("production_performance_estimated", told, labels=("metric",))
    family.add_metric((found.metric if found.accuracy is None else "accuracy",), found.estimated)
    yield family


def _losses(found: LossReport | None) -> Iterator[Metric]:
    if found is None or found.recent is None:
        return
    for name, text, value in (
        ("production_loss", "The mean loss on the newest labels, one by one.", found.recent),
        ("production_loss_expected", "That of the test.", found.expected),
        ("production_loss_labels", "Labels that the version has been told of, one by one.", found.total),
        ("production_loss_evidence", "The detector's evidence that the loss has risen.", found.evidence),
        ("production_loss_evidence_alarm", "The evidence that is an alarm.", found.run_length),
    ):
        family = GaugeMetricFamily(name, text, labels=("loss",))
        family.add_metric((found.kind.value,), value)
        yield family


def _alarms(alarms: tuple[Alarm, ...]) -> Metric:
    family = GaugeMetricFamily("alarms_open", "Alarms that are not resolved.", labels=("kind",))
    standing = Counter(one.kind for one in alarms if one.state is not AlarmState.RESOLVED)
    for kind in AlarmKind:  # all of them, so that a rule on any finds a series
        family.add_metric((kind.value,), standing[kind])
    return family


def _runs(ended: Mapping[tuple[str, Status], int], last: tuple[RunRecord, ...]) -> Iterator[Metric]:
    counted = CounterMetricFamily("pipeline_runs", "Runs that ended.", labels=("pipeline", "status"))
    for (pipeline, status), count in sorted(ended.items()):
        counted.add_metric((pipeline, "success" if status is Status.DONE else status.value), count)
    yield counted
    lasted = GaugeMetricFamily("pipeline_duration_seconds", "How long the last run took.", labels=("pipeline",))
    when = GaugeMetricFamily("pipeline_last_run_timestamp_seconds", "When the last run ended.", labels=("pipeline",))
    step = GaugeMetricFamily("pipeline_step_duration_seconds", "The last run's steps.", labels=("pipeline", "step"))
    for run in last:
        if run.ended_at is not None:
            lasted.add_metric((run.pipeline,), (run.ended_at - run.started_at).total_seconds())
            when.add_metric((run.pipeline,), run.ended_at.timestamp())
        for one in run.steps:
            step.add_metric((run.pipeline, one.name), one.seconds)
    yield from (lasted, when, step)


def _models(found: Observed) -> Iterator[Metric]:
    """What was trained and put in front of traffic, and how good those versions were in their tests."""
    yield CounterMetricFamily("data_rows_processed", "Rows that runs have read and checked.", found.rows)
    deployed = CounterMetricFamily("model_deployments", "Versions released, promoted, rolled back.", labels=("event",))
    for event in _DEPLOYED:
        deployed.add_metric((event.value,), found.events.get(event.value, 0))
    yield deployed
    trained = [run for run in found.last if run.pipeline == "training" and run.status is Status.DONE]
    text = "What the steps of the last training took when they were last run."
    for run in trained:
        yield GaugeMetricFamily("model_training_duration_seconds", text, sum(step.seconds for step in run.steps))
    for name, metric in _TESTED.items():
        family = GaugeMetricFamily(name, f"The version's {metric} in its test.", labels=("version",))
        for version, test in found.tests.items():
            if metric in test:
                family.add_metric((str(version),), test[metric])
        yield family


def _quality(looks: tuple[QualityLook, ...]) -> Iterator[Metric]:
    score = GaugeMetricFamily(
        "monitored_data_quality_score",
        "Share of checks passed by what callers sent or a run read.",
        labels=("origin",),
    )
    labels = ("origin", "check", "column")
    failed = GaugeMetricFamily("data_quality_failed_checks", "1 for each check that failed.", labels=labels)
    broken = GaugeMetricFamily("data_quality_failed_share", "Share of rows that broke the check.", labels=labels)
    for look in looks:
        score.add_metric((look.origin.value,), look.score)
        for one in look.failed:
            named = (look.origin.value, one.check, one.column or "")
            failed.add_metric(named, 1)
            if one.share is not None:
                broken.add_metric(named, one.share)
    yield from (score, failed, broken)


def _schedule(slots: tuple[Slot, ...]) -> Iterator[Metric]:
    # Not `job`: that label is Prometheus' own.
    ended = CounterMetricFamily("scheduled_runs", "Times of the schedule that ended so.", labels=("task", "status"))
    last = GaugeMetricFamily("scheduled_last_timestamp_seconds", "When a task last began or ended.", labels=("task",))
    for one in slots:
        for status, count in ((Turnout.DONE, one.done), (Turnout.FAILED, one.failed), (Turnout.MISSED, one.missed)):
            ended.add_metric((one.job.value, status.value), count)
        last.add_metric((one.job.value,), one.at.timestamp())
    yield from (ended, last)
