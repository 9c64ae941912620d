"""`everfit status` says who answers, what is under way and what to do next, and only reads."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.cli_project import NOW, SETTINGS, call, label, predict, project, register, start

from everfit.flow import alerting, release, retraining, schedule, status
from everfit.flow.monitoring import LOOKS
from everfit.flow.run import RUNS
from everfit.flow.schedule import Came
from everfit.project.sections.release import Release
from everfit.records.codec import encode
from everfit.records.run import RunRecord, Status, StepRecord
from everfit.records.schedule import Job, Slot
from everfit.records.watch import Alarm, AlarmKind, Decision, MonitorReport, PerformanceReport, Retraining, Trigger
from everfit.wiring import Ports

HOURLY = "0 * * * *"
Capture = pytest.CaptureFixture[str]
NO = Decision(NOW, False, None, ("no reason to",))
YES = replace(NO, retrain=True, trigger=Trigger.MANUAL, reasons=("asked for by hand",))
HELD = PerformanceReport("roc_auc", 0.8123, 0.79, 0.83, 0.84, 120, 0.5, True, 0.01)


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ports:
    return project(tmp_path, monkeypatch)


def look(ports: Ports, decision: Decision, performance: PerformanceReport | None = None) -> None:
    ports.state.append(LOOKS, encode(MonitorReport(NOW, 3, None, performance, None, (), decision)))


def overview(ports: Ports) -> status.Overview:
    return status.overview(ports.loaded.project, ports.state, ports.log, ports.labels, ports.artifacts, NOW)


def following(ports: Ports) -> str:
    return status.next_step(overview(ports))[0]


def test_a_fresh_project_is_told_to_run_and_nothing_is_made(ports: Ports, capsys: Capture) -> None:
    answer = call(capsys, "status")
    assert answer.code == 0
    assert "nothing is released yet" in answer.out
    assert "Next: everfit run" in answer.out
    assert not ports.folder.exists()


def test_the_champion_is_shown_with_who_made_it_so_and_its_metrics(ports: Ports, capsys: Capture) -> None:
    register(ports, 1)
    start(ports)
    out = call(capsys, "status").out
    assert "version 1 logistic, 100% of traffic, since" in out
    assert "by ann: first release, no champion to compare with" in out
    assert "roc_auc 0.8400, f1 0.6000" in out


def test_a_canary_is_shown_with_its_share_and_step(ports: Ports, capsys: Capture) -> None:
    for version in (1, 2):
        register(ports, version)
        start(ports)
    out = call(capsys, "status").out
    assert "canary at 10%, step 1 of 2 (10%, 50%)" in out
    assert "its bundle is missing" in out  # of version 2
    assert "Next: everfit release --look" in out


def test_the_champion_after_a_rollback_counts_from_the_rollback(ports: Ports) -> None:
    for version in (1, 2):
        register(ports, version)
        release.start(ports.state, Release(strategy="immediate"), "ann", version)
    release.roll_back(ports.state, "bob", "complaints")
    champion = overview(ports).champion
    assert champion is not None
    assert (champion.version, champion.by, champion.reason) == (1, "bob", "complaints")


def test_runs_are_newest_first_with_what_came_from_the_cache(ports: Ports, capsys: Capture) -> None:
    steps = tuple(StepRecord(name, Status.CACHED, "k", "o", 1.0, "") for name in "abc")
    first = RunRecord("one", "training", Status.DONE, NOW, NOW + timedelta(seconds=2.5), steps)
    failed = replace(first, id="two", status=Status.FAILED, steps=(), error="customers.csv: [bold] is empty")
    for record in (first, failed):
        ports.state.append(RUNS, encode(record))
    newest, oldest = overview(ports).runs
    assert (newest.id, oldest.id, oldest.seconds, oldest.cached) == ("two", "one", 2.5, 3)
    out = call(capsys, "status").out
    assert "customers.csv: [bold] is empty" in out
    assert "everfit run  the last run failed" in out


def test_predictions_and_coverage_are_counted_over_the_window(ports: Ports) -> None:
    ids = predict(ports, 8)
    predict(ports, 4, ago=timedelta(days=40))
    label(ports, ids[:2])
    traffic = overview(ports).traffic
    assert traffic is not None
    assert (traffic.predictions, traffic.matured, traffic.labelled, traffic.coverage) == (8, 8, 2, 0.25)


def test_predictions_whose_label_is_not_due_do_not_count_for_coverage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = project(tmp_path, monkeypatch, SETTINGS.replace('positive: "Yes"', 'positive: "Yes", delay: 1h'))
    predict(ports, 3)
    traffic = overview(ports).traffic
    assert traffic is not None
    assert (traffic.predictions, traffic.matured, traffic.coverage) == (3, 0, None)


def test_the_last_look_alarm_and_retraining_are_shown(ports: Ports, capsys: Capture) -> None:
    look(ports, NO, HELD)
    alarm = Alarm("k", AlarmKind.DRIFT, NOW, "tenure moved")
    ports.state.append(alerting.ALARMS, encode(alarm))
    done = Retraining(NOW, True, "asked", 2, False, "gates: it failed", 5)
    ports.state.append(retraining.RETRAININGS, encode(done))
    out = call(capsys, "status").out
    assert "roc_auc 0.8123 on 120 labels, 0.8400 in the test, degraded" in out
    assert "no retraining: no reason to" in out
    assert "tenure moved" in out
    assert "gates: it failed" in out


def test_the_next_step_follows_the_loop(ports: Ports) -> None:
    assert following(ports) == "everfit run"
    register(ports, 1)
    assert following(ports) == "everfit release"
    start(ports)
    assert following(ports) == "everfit serve"
    ids = predict(ports, 2)
    assert following(ports) == "everfit labels FILE"
    label(ports, ids)
    assert following(ports) == "everfit monitor"
    look(ports, YES)
    assert following(ports) == "everfit retrain"
    ports.state.append(retraining.RETRAININGS, encode(Retraining(NOW, True, "")))
    assert following(ports) == "everfit monitor"
    register(ports, 2)
    assert following(ports) == "everfit release"
    start(ports)
    assert following(ports) == "everfit release --look"


def test_json_holds_the_same(ports: Ports, capsys: Capture) -> None:
    register(ports, 1)
    start(ports)
    predict(ports, 2)
    document = call(capsys, "status", "--json").json
    assert document["overview"]["champion"]["family"] == "logistic"
    assert document["overview"]["traffic"]["predictions"] == 2
    assert document["next"]["command"] == "everfit labels FILE"
    assert document["tracking"].endswith("mlflow.db")


def test_the_password_of_the_tracking_server_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("WORD", "hunter2")
    project(tmp_path, monkeypatch, SETTINGS + 'backends: {tracking: "postgresql://me:${WORD}@db/x"}\n')
    for arguments in (["status"], ["status", "--json"]):
        out = call(capsys, *arguments).out
        assert "me:****@db" in out
        assert "hunter2" not in out


def test_status_imports_no_training_library(ports: Ports) -> None:
    register(ports, 1)
    start(ports)
    code = (
        "import sys; from everfit.cli.main import call; assert call(['status']) == 0;"
        "assert not {'mlflow', 'sklearn', 'pandas'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def kept_until(ports: Ports, hours: int) -> None:
    """Somebody kept the hourly times of the data until so many hours ago."""
    then = NOW - timedelta(hours=hours)
    schedule.tick(ports.state, schedule.Plan(Job.DATA, HOURLY), lambda: Came(""), lambda: then, lambda slot: None)


def test_times_that_nobody_was_there_for_are_told(ports: Ports, capsys: Capture) -> None:
    asked = ("--set", f'schedule.data="{HOURLY}"')
    register(ports, 1)
    start(ports)
    kept_until(ports, 0)
    assert "missed" not in call(capsys, "status", *asked).out
    ports.state.append("schedule data", encode(replace(last(ports), due=NOW - timedelta(hours=5))))
    said = call(capsys, "status", *asked).out
    assert "missed" in said
    assert "nobody runs it: start everfit up" in said
    shown = call(capsys, "history", "--schedule", "--json", *asked).json
    assert (shown[-1]["turnout"], shown[-1]["times"] >= 4) == ("missed", True)


def last(ports: Ports) -> Slot:
    found = schedule.last_slot(ports.state, Job.DATA)
    assert found is not None
    return found[1]


def test_how_the_champions_predictions_turned_out_is_shown_by_week(ports: Ports, capsys: Capture) -> None:
    register(ports, 1)
    start(ports)
    ids = predict(ports, 4)
    assert "by week" not in call(capsys, "status").out
    label(ports, ids[:3])
    said = call(capsys, "status")
    assert "Predictions of version 1 by week" in said.out
    found = call(capsys, "status", "--json").json["cohorts"]["cohorts"]
    assert sum(one["predictions"] for one in found) == 4
    assert sum(one["labelled"] for one in found) == 3
