"""Prometheus: a scrape configuration, and the alerting rules that go with everfit's metrics.

No extra. Reads `serving` (where to scrape), `monitoring`, `schedule`, `retraining` and `release.verdict` (what is late,
old or too much) and `alerts` (Alertmanager). Whether drift, performance and data quality are worth an alarm is for
everfit to decide, at its stated rate of false ones: the rules ask for open alarms, and not for thresholds on figures.
Limits: one static target; a cluster brings its own discovery.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from everfit.flow.graph import Graph
from everfit.project import calendar
from everfit.project.sections.root import Project
from everfit.records.watch import AlarmKind

CONFIG, RULES = "prometheus.yml", "everfit-rules.yml"
LATENCY = 0.25  # seconds that 99 of 100 predictions may take
_GRAVE = (AlarmKind.PERFORMANCE, AlarmKind.FAILURE, AlarmKind.RELEASE)


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert: when its expression has held for so long, how bad it is, and what a person reads."""

    name: str
    expr: str
    hold: str
    severity: str
    summary: str
    fix: str


def export(project: Project, graph: Graph) -> Mapping[str, str]:
    """The two files. The graph is not looked at: the rules are about what any training makes known."""
    return {CONFIG: _dumped(_config(project)), RULES: _dumped(_rules(project))}


def job(project: Project) -> str:
    """The name of the scrape job and of pushed metrics."""
    return f"everfit-{project.name}"


def _config(project: Project) -> dict[str, Any]:
    serving, monitoring = project.serving, project.monitoring
    target: dict[str, Any] = {
        "job_name": job(project),
        "scheme": "https" if serving.tls else "http",
        "metrics_path": "/metrics",
        "static_configs": [{"targets": [f"{serving.host}:{serving.port}"]}],
    }
    if serving.host not in ("127.0.0.1", "::1", "localhost"):
        # A key made by `everfit keys add prometheus --role operate`.
        target["authorization"] = {"type": "Bearer", "credentials_file": "everfit.key"}
    found: dict[str, Any] = {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": [RULES],
        "scrape_configs": [target],
    }
    if monitoring.pushgateway:
        pushed = {"targets": [monitoring.pushgateway.partition("://")[2].strip("/")]}
        found["scrape_configs"] += [{"job_name": "pushgateway", "honor_labels": True, "static_configs": [pushed]}]
    servers = [one.server for one in project.alerts if one.server and one.kind == "alertmanager"]
    managers = [server.partition("://")[2].strip("/") for server in servers]
    if managers:
        found["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": managers}]}]}
    return found


def _rules(project: Project) -> dict[str, Any]:
    of = f'job="{job(project)}"'
    groups = {
        "serving": (*_recorded(of), *map(_alert, _serving(project, of))),
        "model": tuple(map(_alert, (*_alarms(of), *_model(project, of)))),
        "pipelines": tuple(map(_alert, _pipelines(project, of))),
    }
    return {"groups": [{"name": f"{project.name} {name}", "rules": list(rules)} for name, rules in groups.items()]}


def _recorded(of: str) -> Iterator[dict[str, str]]:
    """Figures that rules and dashboards share."""
    bad = f'predictions_total{{{of},status=~"error|unlogged"}}'
    rate = f"sum by (job) (rate(predictions_total{{{of}}}[5m]))"
    buckets = f"sum by (job, le) (rate(prediction_latency_seconds_bucket{{{of}}}[5m]))"
    yield {"record": "job:everfit_predictions:rate5m", "expr": rate}
    yield {
        "record": "job:everfit_prediction_errors:share5m",
        "expr": f"(sum by (job) (rate({bad}[5m])) or 0 * {rate}) / ({rate} > 0)",
    }
    yield {"record": "job:everfit_prediction_latency_seconds:p99_5m", "expr": f"histogram_quantile(0.99, {buckets})"}


def _serving(project: Project, of: str) -> Iterator[Rule]:
    errors = project.release.verdict.errors or 0.01
    yield Rule(
        "EverfitDown", f"up{{{of}}} == 0", "2m", "critical", "{{ $labels.instance }} does not answer",
        "start `everfit serve` or `everfit up` there",
    )  # fmt: skip
    yield Rule(
        "EverfitNoModel", f"sum by (job) (model_traffic_share{{{of}}}) == 0 or up{{{of}}} == 1 unless on (job) "
        f"model_traffic_share{{{of}}}", "5m", "critical", "nothing is released, so nothing is predicted",
        "run `everfit release`",
    )  # fmt: skip
    yield Rule(
        "EverfitErrors", f"job:everfit_prediction_errors:share5m{{{of}}} > {errors:g}", "5m", "critical",
        "{{ $value | humanizePercentage }} of predictions fail",
        "look at the server's log; `everfit rollback` gives the traffic back to the version before",
    )  # fmt: skip
    yield Rule(
        "EverfitLatency", f"job:everfit_prediction_latency_seconds:p99_5m{{{of}}} > {LATENCY:g}", "10m", "warning",
        "99 of 100 predictions take up to {{ $value | humanizeDuration }}",
        "give the server more workers (serving.workers) or a quieter machine",
    )  # fmt: skip
    yield Rule(
        "EverfitLogLag", f"prediction_log_waiting{{{of}}} > 100", "5m", "warning",
        "{{ $value }} predictions wait for the log", "see whether the disk of the predictions is slow or full",
    )  # fmt: skip
    yield Rule(
        "EverfitReleaseBehind", f"release_behind{{{of}}} == 1", "5m", "critical",
        "a newer release cannot be loaded; the one before answers", "GET /ready says why",
    )  # fmt: skip
    yield Rule(
        "EverfitStateAway", f"time() - (release_confirmed_timestamp_seconds{{{of}}} > 0) > 600", "5m", "warning",
        "the state store has not answered for {{ $value | humanizeDuration }}", "see whether backends.state is reached",
    )  # fmt: skip


def _alarms(of: str) -> Iterator[Rule]:
    """One for each kind of alarm that is open: everfit has tested it, the rule only tells."""
    for kind in AlarmKind:
        yield Rule(
            f"Everfit{kind.title().replace('_', '')}",
            f'alarms_open{{{of},kind="{kind}"}} > 0',
            "0m",
            "critical" if kind in _GRAVE else "warning",
            f"{{{{ $value }}}} open alarms: {kind.replace('_', ' ')}",
            "`everfit alarms` shows them, `everfit report` draws them",
        )


def _model(project: Project, of: str) -> Iterator[Rule]:
    oldest = 2 * project.retraining.schedule.total_seconds()
    yield Rule(
        "EverfitModelStale", f"min by (job) (model_age_seconds{{{of}}}) > {oldest:.0f}", "1h", "warning",
        "all that answer are {{ $value | humanizeDuration }} old", "`everfit retrain`, or see why none was decided",
    )  # fmt: skip
    yield Rule(
        "EverfitLabelsMissing", f"label_coverage{{{of}}} < 0.5", "1h", "warning",
        "only {{ $value | humanizePercentage }} of the predictions due have a label",
        "see whether labels still arrive: performance is judged by few",
    )  # fmt: skip


def _pipelines(project: Project, of: str) -> Iterator[Rule]:
    late = 3 * _pause(project) + 600
    yield Rule(
        "EverfitLooksStopped", f"time() - monitor_look_timestamp_seconds{{{of}}} > {late:.0f}", "0m", "warning",
        "nobody has looked at production for {{ $value | humanizeDuration }}",
        "see whether `everfit up`, or the job that runs `everfit monitor`, is alive",
    )  # fmt: skip
    yield Rule(
        "EverfitRunFailed", f'increase(pipeline_runs_total{{{of},status="failed"}}[1h]) > 0', "0m", "warning",
        "a {{ $labels.pipeline }} run failed", "`everfit status` says why",
    )  # fmt: skip
    yield Rule(
        "EverfitScheduleMissed", f'increase(scheduled_runs_total{{{of},status="missed"}}[1d]) > 0', "0m", "warning",
        "a time of {{ $labels.task }} was missed", "`everfit history --schedule` lists them",
    )  # fmt: skip


def _pause(project: Project) -> float:
    """The longest time between two looks, in seconds."""
    plan = project.schedule
    if plan.monitoring is None:
        return project.monitoring.every.total_seconds()
    return max(calendar.pauses(plan.monitoring, plan.timezone)).total_seconds()


def _alert(rule: Rule) -> dict[str, Any]:
    return {
        "alert": rule.name,
        "expr": rule.expr,
        "for": rule.hold,
        "labels": {"severity": rule.severity},
        "annotations": {"summary": rule.summary, "description": rule.fix},
    }


def _dumped(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
