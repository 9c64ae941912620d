"""What Prometheus scrapes from a server: counts, latencies and who answers, summed over its workers.

Every label is bounded: arms are few, versions come from the route table, statuses from HTTP;
nothing comes from a caller.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from everfit.records.release import RouteTable
from everfit.serving.tallies import Tallies

Status = Literal["ok", "error"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BOUNDS = (*(f"{bound:g}" if bound < 1 else str(bound) for bound in _SECONDS), "+Inf")


class ServingMetrics(Collector):
    """The server's own metrics: two servers in one process never mix, and nothing is global. With `tallies` in a
    folder, several workers count as one.

    Status `ok` was answered, `error` means that the arm's model raised, `rejected` that the request was refused
    before any arm, `unlogged` that the log could not be written (in both, arm and version are `none`).

    >>> metrics = ServingMetrics()
    >>> metrics.predicted("champion", 3, "ok", rows=2, seconds=0.004)
    >>> 'predictions_total{arm="champion",status="ok",version="3"} 2.0' in metrics.text().decode()
    True
    """

    def __init__(self, tallies: Tallies | None = None) -> None:
        self._tallies = tallies or Tallies()
        self._table = RouteTable(0, ())
        self._created: Mapping[int, datetime] = {}
        self._quality: Mapping[int, float] = {}
        self._behind = False
        self.confirmed = 0.0  # when the state store last said what is to be served, in seconds since 1970
        self.waiting: Callable[[], int] = int  # how many requests of this worker wait for the log
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def predicted(self, arm: str, version: int, status: Status, rows: int, seconds: float, requests: int = 1) -> None:
        """Counts the rows that an arm answered, or failed on, in so many seconds together; of several requests, each
        took as long."""
        key = ("predictions", status, arm, str(version))
        self._tallies.observe(key, bisect_left(_SECONDS, seconds), seconds, rows, requests)

    def rejected(self, rows: int = 1) -> None:
        """Counts rows refused before any arm saw them."""
        self._tallies.add(("predictions", "rejected", "none", "none"), [rows])

    def unlogged(self, rows: int) -> None:
        """Counts rows that were scored and not answered, for the log could not be written."""
        self._tallies.add(("predictions", "unlogged", "none", "none"), [rows])

    def dropped(self, rows: int) -> None:
        """Counts rows that a version in the shadow did not score, as it was slower than the traffic."""
        self._tallies.add(("dropped",), [rows])

    def labelled(self, labels: int) -> None:
        """Counts labels received."""
        self._tallies.add(("feedback",), [labels])

    def failed(self, status: str) -> None:
        """Counts an answer that is an error, by its HTTP status."""
        self._tallies.add(("errors", status), [1])

    def released(
        self, table: RouteTable, created: Mapping[int, datetime], quality: Mapping[int, float] | None = None
    ) -> None:
        """Shows the table's arms, with the time that each model was made at and its data's quality where known."""
        self._table, self._created, self._quality = table, created, quality or {}

    def behind(self, is_behind: bool) -> None:
        """Shows whether there is a newer release that cannot be served."""
        self._behind = is_behind

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """The metrics as prometheus_client writes them."""
        yield from _counted(self._tallies)
        yield from self._released()
        waiting = "Requests of the worker asked whose prediction is not in the log yet."
        yield GaugeMetricFamily("prediction_log_waiting", waiting, self.waiting())

    def _released(self) -> Iterator[Metric]:
        now = datetime.now(UTC).timestamp()
        versions, shares, made, age, quality = (
            GaugeMetricFamily(name, text, labels=("arm",))
            for name, text in (
                ("model_version", "The version of each arm."),
                ("model_traffic_share", "The arm's share of traffic."),
                ("model_created_timestamp_seconds", "When the arm's model was made."),
                ("model_age_seconds", "The age of the arm's model."),
                ("data_quality_score", "Quality of the table that the arm's model learned from."),
            )
        )
        for arm in self._table.arms:
            versions.add_metric((arm.name,), arm.version)
            shares.add_metric((arm.name,), arm.weight)
            if arm.version in self._created:
                made.add_metric((arm.name,), self._created[arm.version].timestamp())
                age.add_metric((arm.name,), now - self._created[arm.version].timestamp())
            if arm.version in self._quality:
                quality.add_metric((arm.name,), self._quality[arm.version])
        yield from (versions, shares, made, age, quality)
        yield GaugeMetricFamily("release_number", "The last ledger event that is served.", self._table.number)
        yield GaugeMetricFamily("release_behind", "1 while a newer release cannot be served.", self._behind)
        asked = "When the state store last said which release is to be served."
        yield GaugeMetricFamily("release_confirmed_timestamp_seconds", asked, self.confirmed)


def _counted(tallies: Tallies) -> Iterator[Metric]:
    predictions = CounterMetricFamily("predictions", "Predictions.", labels=("status", "arm", "version"))
    about = "Seconds from a request's arrival at the predictor to its log entry."
    latency = HistogramMetricFamily("prediction_latency_seconds", about, labels=("arm", "version"))
    feedback = CounterMetricFamily("feedback_labels", "Labels received by /feedback.")
    errors = CounterMetricFamily("request_errors", "Answers that are errors, by HTTP status.", labels=("status",))
    dropped = CounterMetricFamily("shadow_dropped", "Rows that a version in the shadow was too slow to score.")
    given = lost = 0.0
    for (name, *labels), numbers in tallies.all():
        if name == "errors":
            errors.add_metric(labels, numbers[0])
        elif name == "feedback":
            given = numbers[0]
        elif name == "dropped":
            lost = numbers[0]
        else:
            predictions.add_metric(labels, numbers[0])
            if labels[0] == "ok":
                latency.add_metric(labels[1:], _cumulated(numbers[2:]), numbers[1])
    feedback.add_metric((), given)
    dropped.add_metric((), lost)
    yield from (predictions, latency, feedback, errors, dropped)


def _cumulated(counts: list[float]) -> list[tuple[str, float]]:
    total, found = 0.0, []
    for bound, count in zip(_BOUNDS, counts, strict=False):
        total += count
        found.append((bound, total))
    return found
