"""Prometheus itself takes the exported files, fires each rule when it should, and finds its series on a real server."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from tests.integration import projects
from tests.integration.projects import SmallProject
from tests.services.prometheus import Prometheus, prometheus, promtool
from tests.unit.test_service import opened, serving

from everfit.exporters.prometheus import CONFIG, RULES, export, job
from everfit.flow.graph import Graph
from everfit.project.sections.root import Project
from everfit.testing.churn import TARGET

OF = 'job="everfit-churn"'
NOTHING = Graph(())
# What each alert needs to fire after half an hour, beside a server that is well.
BAD = {
    "EverfitDown": {f"up{{{OF}}}": "0x60"},
    "EverfitNoModel": {f'model_traffic_share{{{OF},arm="champion"}}': "0x60"},
    "EverfitErrors": {f'predictions_total{{{OF},status="error"}}': "0+60x60"},
    "EverfitLatency": {
        f'prediction_latency_seconds_bucket{{{OF},le="0.1"}}': "0+1x60",
        f'prediction_latency_seconds_bucket{{{OF},le="1.0"}}': "0+600x60",
        f'prediction_latency_seconds_bucket{{{OF},le="+Inf"}}': "0+600x60",
    },
    "EverfitLogLag": {f"prediction_log_waiting{{{OF}}}": "900x60"},
    "EverfitReleaseBehind": {f"release_behind{{{OF}}}": "1x60"},
    "EverfitStateAway": {f"release_confirmed_timestamp_seconds{{{OF}}}": "60x60"},
    "EverfitDrift": {f'alarms_open{{{OF},kind="drift"}}': "1x60"},
    "EverfitPredictionDrift": {f'alarms_open{{{OF},kind="prediction_drift"}}': "1x60"},
    "EverfitPerformance": {f'alarms_open{{{OF},kind="performance"}}': "1x60"},
    "EverfitDataQuality": {f'alarms_open{{{OF},kind="data_quality"}}': "2x60"},
    "EverfitPipelineFailure": {f'alarms_open{{{OF},kind="pipeline_failure"}}': "1x60"},
    "EverfitRelease": {f'alarms_open{{{OF},kind="release"}}': "1x60"},
    "EverfitModelStale": {f'model_age_seconds{{{OF},arm="champion"}}': "9000000x120"},
    "EverfitLabelsMissing": {f"label_coverage{{{OF}}}": "0.2x120"},
    "EverfitLooksStopped": {f"monitor_look_timestamp_seconds{{{OF}}}": "-86400x60"},
    "EverfitRunFailed": {f'pipeline_runs_total{{{OF},pipeline="training",status="failed"}}': "0x20 1x60"},
    "EverfitScheduleMissed": {f'scheduled_runs_total{{{OF},task="data",status="missed"}}': "0x20 1x60"},
}
WELL = {
    f"up{{{OF}}}": "1x120",
    f'model_traffic_share{{{OF},arm="champion"}}': "1x120",
    f'predictions_total{{{OF},status="ok"}}': "0+600x120",
    f'prediction_latency_seconds_bucket{{{OF},le="0.1"}}': "0+600x120",
    f'prediction_latency_seconds_bucket{{{OF},le="+Inf"}}': "0+600x120",
    f"prediction_log_waiting{{{OF}}}": "1x120",
    f"release_behind{{{OF}}}": "0x120",
    f"release_confirmed_timestamp_seconds{{{OF}}}": "0+60x120",
    f'alarms_open{{{OF},kind="drift"}}': "0x120",
    f'model_age_seconds{{{OF},arm="champion"}}': "86400x120",
    f"label_coverage{{{OF}}}": "0.9x120",
    f"monitor_look_timestamp_seconds{{{OF}}}": "0+60x120",
    f'pipeline_runs_total{{{OF},pipeline="training",status="failed"}}': "3x120",
}


def made(**settings: object) -> Project:
    return Project.model_validate(
        {"project": "churn", "data": {"source": "t.csv", "target": {"column": "churn"}}, **settings}
    )


def rules(project: Project) -> list[dict[str, Any]]:
    groups = yaml.safe_load(export(project, NOTHING)[RULES])["groups"]
    return [rule for group in groups for rule in group["rules"]]


def written(folder: Path, project: Project, change: Callable[[str], str] = str) -> Path:
    for name, text in export(project, NOTHING).items():
        (folder / name).write_text(change(text))
    return folder / CONFIG


@pytest.mark.usefixtures("prometheus_installed")
def test_prometheus_takes_the_files(tmp_path: Path) -> None:
    project = made(
        serving={"host": "10.0.0.7"},
        monitoring={"pushgateway": "http://gateway:9091"},
        alerts=[{"alertmanager": "http://manager:9093"}],
    )
    (tmp_path / "everfit.key").write_text("key")
    checked = promtool("check", "config", str(written(tmp_path, project)))
    assert checked.returncode == 0, checked.stderr
    config = yaml.safe_load((tmp_path / CONFIG).read_text())
    assert [one["job_name"] for one in config["scrape_configs"]] == ["everfit-churn", "pushgateway"]
    assert config["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["manager:9093"]}]


def case(alert: str, series: dict[str, str], fires: bool, at: str) -> dict[str, Any]:
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    expected = [{"labels": "{}", "value": 1}] if fires else []
    return {
        "interval": "1m",
        "name": f"{alert} {'fires' if fires else 'is quiet'}",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": firing, "eval_time": at, "exp_samples": expected}],
    }


@pytest.mark.usefixtures("prometheus_installed")
def test_each_alert_fires_when_it_should_and_none_where_all_is_well(tmp_path: Path) -> None:
    names = {rule["alert"] for rule in rules(made()) if "alert" in rule}
    assert names == BAD.keys()
    slow = {"EverfitModelStale": "1h30m", "EverfitLabelsMissing": "1h30m"}
    tests = [case(name, WELL | bad, True, slow.get(name, "30m")) for name, bad in BAD.items()]
    tests += [case(name, WELL, False, "1h30m") for name in BAD]
    written(tmp_path, made())
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": [RULES], "tests": tests}))
    ran = promtool("test", "rules", str(tmp_path / "test.yml"))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_what_is_late_follows_from_the_project() -> None:
    def silence(project: Project) -> str:
        return next(str(rule["expr"]) for rule in rules(project) if rule.get("alert") == "EverfitLooksStopped")

    assert "> 11400" in silence(made())  # three times an hour, and ten minutes
    assert "> 3300" in silence(made(schedule={"monitoring": "*/15 * * * *"}))
    assert "> 783000" not in silence(made(schedule={"monitoring": "0 9 * * MON-FRI"}))
    assert "> 778200" in silence(made(schedule={"monitoring": "0 9 * * MON-FRI"}))  # a weekend is no silence
    stale = [str(rule["expr"]) for rule in rules(made(retraining={"schedule": "7d"})) if "model_age" in rule["expr"]]
    assert stale[0].endswith("> 1209600")


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def up(server: Prometheus) -> bool:
    return [one["value"][1] for one in server.series(f"up{{{OF}}}")] == ["1"]


@pytest.mark.usefixtures("prometheus_installed")
def test_a_real_prometheus_finds_every_series_of_the_rules_on_a_real_server(
    released: SmallProject, tmp_path: Path
) -> None:
    looked(released)
    workspace, _ = opened(released)
    with serving(workspace) as client:
        project = made(serving={"port": client.port})
        config = written(tmp_path, project, lambda text: text.replace("15s", "1s"))
        with prometheus(config, tmp_path / "data") as server:
            until(lambda: up(server), "the server is not scraped")
            recorded = "job:everfit_prediction_errors:share5m"  # there once predictions come between two scrapes
            until(lambda: client.version() == 1 and bool(server.series(recorded)), "nothing is recorded")
            groups = server.ask("rules")["groups"]
            wanted = {name for rule in rules(project) for name in re.findall(r"([a-z0-9_:]+)\{job=", str(rule["expr"]))}
            known = set(server.ask("label/__name__/values"))
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
    assert wanted - known - {"scheduled_runs_total"} == set()  # this project has no schedule
    assert len(wanted) > 10
    assert job(project) == "everfit-churn"


def looked(project: SmallProject) -> None:
    """Predictions, labels and a look, so that everything which can be shown is shown."""
    workspace = project.open("monitoring.rows=100", "data.target.delay=0s")
    asked = projects.customers(200, seed=5, first=20_000)
    answers = workspace.predict(asked.drop(TARGET))
    workspace.label(pl.DataFrame({"prediction_id": answers["id"], "value": asked[TARGET]}))
    workspace.monitor()


def test_the_command_writes_the_files_and_leaves_changed_ones_alone(trained: SmallProject) -> None:
    folder = trained.folder / "out"
    first = trained.call("export", "prometheus", "-o", str(folder))
    assert first.code == 0, first.err
    assert {path.name for path in folder.iterdir()} == {CONFIG, RULES}
    (folder / RULES).write_text("groups: []")
    again = trained.call("export", "prometheus", "-o", str(folder))
    assert again.code == 8
    assert "is there and differs" in again.err
    assert (folder / RULES).read_text() == "groups: []"
    assert trained.call("export", "prometheus", "-o", str(folder), "--force").code == 0
    assert "EverfitDrift" in (folder / RULES).read_text()


def test_the_files_can_be_printed(trained: SmallProject) -> None:
    assert json.loads(trained.call("export", "prometheus", "--json").out).keys() == {CONFIG, RULES}


def test_an_unknown_platform_is_wrong_usage(trained: SmallProject) -> None:
    answer = trained.call("export", "abacus")
    assert answer.code == 64
    assert "none of prometheus" in answer.err
