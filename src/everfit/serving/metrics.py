"""What Prometheus scrapes from a server: counts, latencies and who answers.

Every label is bounded: arms are two, versions come from the route table, nothing comes from a caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from everfit.records.release import RouteTable

Status = Literal["ok", "error"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ServingMetrics:
    """The server's own registry: two servers in one process never mix, and nothing is global.

    Status `ok` was answered, `error` means that the arm's model raised, `rejected` that the request was refused
    before any arm, `unlogged` that the log could not be written (in both, arm and version are `none`).

    >>> metrics = ServingMetrics()
    >>> metrics.predicted("champion", 3, "ok", rows=2, seconds=0.004)
    >>> 'predictions_total{arm="champion",status="ok",version="3"} 2.0' in metrics.text().decode()
    True
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._count = Counter("predictions", "Predictions.", ("status", "arm", "version"), registry=self._registry)
        self._latency = Histogram(
            "prediction_latency_seconds",
            "Seconds from a request's arrival at the predictor to its log entry.",
            ("arm",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._feedback = Counter("feedback_labels", "Labels received by /feedback.", registry=self._registry)
        self._version = Gauge("model_version", "The version of each arm.", ("arm",), registry=self._registry)
        self._weight = Gauge("model_traffic_share", "The arm's share of traffic.", ("arm",), registry=self._registry)
        self._made = Gauge(
            "model_created_timestamp_seconds",
            "When the arm's model was made; its age is time() minus this.",
            ("arm",),
            registry=self._registry,
        )
        self._quality = Gauge(
            "data_quality_score",
            "Quality of the table that the arm's model learned from.",
            ("arm",),
            registry=self._registry,
        )
        self._release = Gauge("release_number", "The last ledger event that is served.", registry=self._registry)
        self._behind = Gauge("release_behind", "1 while a newer release cannot be served.", registry=self._registry)
        self._confirmed = Gauge(
            "release_confirmed_timestamp_seconds",
            "When the state store last said which release is to be served.",
            registry=self._registry,
        )
        # Finding a labelled child takes a lock and a tuple; there are only a few.
        self._counted = lru_cache(maxsize=64)(self._count.labels)
        self._timed = lru_cache(maxsize=8)(self._latency.labels)

    def predicted(self, arm: str, version: int, status: Status, rows: int, seconds: float) -> None:
        """Counts the rows that an arm answered, or failed on, in so many seconds together."""
        self._counted(status, arm, str(version)).inc(rows)
        self._timed(arm).observe(seconds)

    def rejected(self, rows: int = 1) -> None:
        """Counts rows refused before any arm saw them."""
        self._counted("rejected", "none", "none").inc(rows)

    def unlogged(self, rows: int) -> None:
        """Counts rows that were scored and not answered, for the log could not be written."""
        self._counted("unlogged", "none", "none").inc(rows)

    def labelled(self, labels: int) -> None:
        """Counts labels received."""
        self._feedback.inc(labels)

    def released(
        self, table: RouteTable, created: Mapping[int, datetime], quality: Mapping[int, float] | None = None
    ) -> None:
        """Shows the table's arms, with the time that each model was made at and its data's quality where known."""
        for gauge in (self._version, self._weight, self._made, self._quality):
            gauge.clear()
        self._release.set(table.number)
        for arm in table.arms:
            self._version.labels(arm.name).set(arm.version)
            self._weight.labels(arm.name).set(arm.weight)
            if arm.version in created:
                self._made.labels(arm.name).set(created[arm.version].timestamp())
            if quality and arm.version in quality:
                self._quality.labels(arm.name).set(quality[arm.version])

    def behind(self, is_behind: bool) -> None:
        """Shows whether there is a newer release that cannot be served."""
        self._behind.set(is_behind)

    def confirmed(self, at: float) -> None:
        """Shows when the route table was last known to be the newest, in seconds since 1970."""
        self._confirmed.set(at)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
