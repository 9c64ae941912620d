"""The server and the loop in one process: releases followed, failures told and outlived, ends kept."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast

import httpx
import polars as pl
import pytest
from tests.integration import projects
from tests.integration.projects import SmallProject

from everfit import service
from everfit.errors import Conflict, GateFailed, ProjectError, StorageError
from everfit.flow import alerting, keys, ledger, release, retraining, schedule
from everfit.records.access import Role
from everfit.records.codec import encode
from everfit.records.release import EventKind
from everfit.records.run import RunRecord, Status
from everfit.records.schedule import Job, Slot, Turnout
from everfit.records.watch import AlarmKind, Decision, MonitorReport, Retraining
from everfit.serving.server import bind
from everfit.testing.churn import ENTITY, TARGET
from everfit.workspace import Workspace

ROW = projects.customers(1, seed=5, first=20_000).drop(TARGET, "event_timestamp").to_dicts()[0]
QUICK = ("serving.refresh=0.02s", "release.look=0.02s", "monitoring.every=0.02s")


@dataclass
class Notes:
    """A Progress that keeps what it is told."""

    kept: list[str] = field(default_factory=list)

    def step(self, name: str, status: str, seconds: float, why: str) -> None:
        pass

    def note(self, text: str) -> None:
        self.kept.append(text)


@dataclass
class Client:
    port: int

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=20)

    def version(self) -> int:
        answer = httpx.post(f"http://127.0.0.1:{self.port}/predict", json=ROW, timeout=20)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["version"])


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def opened(project: SmallProject, *settings: str) -> tuple[Workspace, Notes]:
    workspace, notes = project.open(*QUICK, *settings), Notes()
    workspace.progress = notes
    return workspace, notes


@contextmanager
def serving(workspace: Workspace) -> Iterator[Client]:
    stop, port = threading.Event(), Future[int]()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(service.serve, workspace, None, 0, port.set_result, stop)
        try:
            yield Client(port.result(timeout=20))
        finally:
            stop.set()
        done.result(timeout=20)


@contextmanager
def watching(workspace: Workspace, act: bool = True) -> Iterator[list[service.Happening]]:
    stop, happened = threading.Event(), list[service.Happening]()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(service.watch, workspace, stop, act, happened.append)
        try:
            yield happened
        finally:
            stop.set()
        done.result(timeout=20)


@pytest.fixture(scope="session")
def _two(_trained: SmallProject, tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    made = SmallProject(tmp_path_factory.mktemp("two") / "project")
    shutil.copytree(_trained.folder, made.folder)
    made.open("training.seed=7", "gates.not_worse_than=null").run()
    made.open().release(1)
    return made


@pytest.fixture
def two(_two: SmallProject, tmp_path: Path) -> SmallProject:
    """Version 1 is champion, version 2 is registered."""
    shutil.copytree(_two.folder, tmp_path / "two")
    return SmallProject(tmp_path / "two")


def damage(project: SmallProject, version: int) -> None:
    digest = ledger.versions(project.open().ports.state)[version].bundle_hash
    (project.store / "artifacts" / digest[:2] / digest / "card.md").write_text("something else")


def failures(workspace: Workspace) -> list[str]:
    return [one.message for one in alerting.history(workspace.ports.state) if one.kind is AlarmKind.FAILURE]


def test_a_release_reaches_a_running_server(trained: SmallProject) -> None:
    workspace, _ = opened(trained)
    with serving(workspace) as client:
        assert client.get("/ready").status_code == 503
        trained.open().release()
        until(lambda: client.get("/ready").status_code == 200)
        assert client.version() == 1


def test_a_release_reaches_the_servers_of_this_machine_ahead_of_their_next_look(two: SmallProject) -> None:
    with serving(two.open("serving.refresh=1h")) as client:
        assert client.version() == 1
        two.open("release.strategy=immediate").release(2)
        until(lambda: client.version() == 2)
        two.open().rollback()
        until(lambda: client.version() == 1)


def test_a_version_is_approved_over_http_by_the_key_of_somebody_else_than_its_author(two: SmallProject) -> None:
    rule = ("release.strategy=immediate", "release.approve={dev: 1}", "release.approvers=[bob, eve]")
    state = two.open(*rule).ports.state
    bob, shop = (
        keys.add(state, name, (role,), "ann") for name, role in (("bob", Role.OPERATE), ("shop", Role.PREDICT))
    )
    two.open(*rule).release(2)
    with serving(two.open(*rule)) as client:

        def approve(key: str) -> httpx.Response:
            url, headers = f"http://127.0.0.1:{client.port}/approve", {"x-api-key": key}
            return httpx.post(url, json={"version": 2}, headers=headers, timeout=20)

        assert [approve(shop).status_code, approve("everfit_guessed").status_code] == [403, 401]
        answer = approve(bob)
        assert (answer.status_code, answer.json()["by"], answer.json()["missing"]) == (200, "bob", 0)
    assert ledger.current(state).champion == 2


def test_a_smoke_test_holds_the_server_to_the_release_and_takes_back_what_fails(two: SmallProject) -> None:
    two.open("release.strategy=immediate").release(2)
    released = ledger.events(two.open().ports.state)[-2]
    assert {"rehearsal_score", "rehearsal_ms"} <= released.evidence.keys()
    with serving(two.open("serving.refresh=1h")) as client:
        url = f"--url=http://127.0.0.1:{client.port}"
        passed = two.call("smoke", url, "--json")
        assert passed.code == 0, passed.err
        assert [check["passed"] for check in json.loads(passed.out)["checks"]] == [True] * 4
        assert client.version() == 2
    failed = two.call("smoke", url, "--wait=0", "--rollback")
    assert failed.code == 9
    assert "it was rolled back" in failed.err
    last, before = ledger.events(two.open().ports.state)[:-3:-1]
    assert (last.kind, before.kind, before.evidence["passed"]) == (EventKind.ROLLED_BACK, EventKind.TESTED, False)
    assert ledger.current(two.open().ports.state).champion == 1


def unseen(two: SmallProject, version: int) -> None:
    """Releases a version that nobody rehearsed: its bundle is damaged."""
    damage(two, version)
    workspace = two.open("release.strategy=immediate")
    release.start(workspace.ports.state, workspace.project.release, "ann", version)


def test_a_release_that_cannot_be_loaded_leaves_the_one_before_answering_and_is_told(two: SmallProject) -> None:
    workspace, notes = opened(two, "release.guard.automatic=false")
    with serving(workspace) as client:
        assert client.get("/ready").json() == {"status": "ready", "model": "churn", "version": 1}
        assert "\nrelease_behind 0.0" in client.get("/metrics").text
        unseen(two, 2)
        until(lambda: len(failures(workspace)) > 0)
        assert client.version() == 1
        assert "the bundle of version 2 is missing" in client.get("/ready").json()["behind"]
        assert "\nrelease_behind 1.0" in client.get("/metrics").text
        assert "A newer release is not served" in client.get("/docs").text
        two.open().rollback()
        until(lambda: "behind" not in client.get("/ready").json())
        assert "\nrelease_behind 0.0" in client.get("/metrics").text
    told = [note for note in notes.kept if "bundle of version 2" in note]
    assert len(told) == 1  # however often it was tried
    assert told[0].startswith("routes failed")


def test_a_release_that_cannot_be_loaded_is_rolled_back_by_itself(two: SmallProject) -> None:
    workspace, _ = opened(two)
    with serving(workspace) as client:
        unseen(two, 2)
        until(lambda: ledger.current(workspace.ports.state).rejected == (2,))
        until(lambda: "behind" not in client.get("/ready").json())
        assert client.version() == 1
    assert "version 2 cannot be loaded" in ledger.events(workspace.ports.state)[-1].reason
    assert len(failures(workspace)) == 1


def test_a_damaged_version_gets_no_release(two: SmallProject) -> None:
    damage(two, 2)
    with pytest.raises(StorageError, match="bundle of version 2"):
        two.open().release(2)
    assert ledger.current(two.open().ports.state).challenger is None


def test_a_server_that_starts_beside_a_damaged_challenger_lets_the_champion_answer(two: SmallProject) -> None:
    two.open().release(2)
    damage(two, 2)
    workspace, _ = opened(two, "release.guard.automatic=false")
    with serving(workspace) as client:
        assert client.version() == 1
        assert [arm["share"] for arm in client.get("/version").json()["arms"]] == [1.0]
        assert "the bundle of version 2 is missing" in client.get("/ready").json()["behind"]


def test_a_server_whose_champion_is_damaged_does_not_start(released: SmallProject) -> None:
    damage(released, 1)
    with pytest.raises(StorageError, match="bundle of version 1 is missing"):
        service.serve(released.open(), port=0)


def test_a_taken_port_is_said_before_anything_is_watched(released: SmallProject) -> None:
    workspace, _ = opened(released)
    with bind("127.0.0.1", 0) as listener, pytest.raises(ProjectError, match="is taken"):
        service.up(workspace, port=listener.getsockname()[1])
    assert workspace.ports.state.last("looks") is None


def test_a_watch_looks_again_and_again(released: SmallProject) -> None:
    workspace, _ = opened(released)
    with watching(workspace) as happened:
        until(lambda: len(happened) >= 3)
    assert all(isinstance(one, MonitorReport) for one in happened)


class Broken(Workspace):
    """A workspace whose verbs raise what they are told to."""

    error: Exception | None = None

    def monitor(self, *given: Any, **named: Any) -> MonitorReport:
        if self.error is not None:
            raise self.error
        return super().monitor(*given, **named)


def broken(project: SmallProject, error: Exception) -> tuple[Broken, Notes]:
    notes = Notes()
    workspace = Broken(project.open(*QUICK).loaded, notes)
    workspace.error = error
    return workspace, notes


def test_a_watch_outlives_what_nobody_thought_of(released: SmallProject, caplog: pytest.LogCaptureFixture) -> None:
    workspace, notes = broken(released, ZeroDivisionError("division by zero"))
    with watching(workspace) as happened:
        until(lambda: len(failures(workspace)) == 1)
        workspace.error = None
        until(lambda: len(happened) > 0)
    assert notes.kept == ["monitor failed: ZeroDivisionError: division by zero"]
    assert failures(workspace) == notes.kept
    assert "Traceback" in caplog.text


def test_a_watch_outlives_an_alarm_that_cannot_be_sent(released: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(alerting, "send", full)
    workspace, notes = broken(released, StorageError("the disk is full"))
    expected = {"monitor failed: the disk is full", "alarm not delivered: the disk is full"}
    with watching(workspace):
        until(lambda: expected <= set(notes.kept))


def test_somebody_who_was_first_is_no_failure(released: SmallProject) -> None:
    workspace, notes = broken(released, Conflict("somebody else changed the release"))
    with watching(workspace):
        until(lambda: len(notes.kept) >= 2)
    assert notes.kept[0] == "monitor: somebody else changed the release"
    assert failures(workspace) == []


def look_once(workspace: Workspace, act: bool) -> list[service.Happening]:
    with watching(workspace, act) as happened:
        until(lambda: len(happened) >= 2)
    return happened


def on_trial(two: SmallProject) -> Workspace:
    """A canary with all the evidence that it needs."""
    two.open().release(2)
    workspace, _ = opened(two, "release.verdict.requests=5", "release.verdict.errors=20pp", "release.steps=[50%]")
    workspace.predict([{**ROW, ENTITY: f"C{number}"} for number in range(60)])
    return workspace


def test_a_watch_that_acts_judges_the_canary(two: SmallProject) -> None:
    workspace = on_trial(two)
    with watching(workspace) as happened:
        until(lambda: any(isinstance(one, service.Judged) for one in happened))
    judged = [one for one in happened if isinstance(one, service.Judged)]
    assert judged[0].verdict.action in ("advance", "promote")


def test_a_watch_that_only_looks_leaves_the_canary_alone(two: SmallProject) -> None:
    workspace = on_trial(two)
    before = ledger.current(workspace.ports.state)
    happened = look_once(workspace, act=False)
    assert not any(isinstance(one, service.Judged) for one in happened)
    assert ledger.current(workspace.ports.state) == before


def test_nothing_is_retrained_while_a_canary_is_on_trial(two: SmallProject) -> None:
    two.open().release(2)
    workspace, _ = opened(two, "retraining.on=[schedule]", "retraining.schedule=0.001s", "retraining.cooldown=0s")
    decision = workspace.monitor().decision
    assert not decision.retrain
    assert "version 2 is on trial: its verdict comes first" in decision.reasons


def began(workspace: Workspace, **ended: Any) -> Retraining:
    done = Retraining(workspace.clock(), True, "performance has fallen", **ended)
    workspace.ports.state.append(retraining.RETRAININGS, encode(done))
    return done


def test_a_retraining_that_was_stopped_is_gone_on_with(released: SmallProject) -> None:
    workspace, notes = opened(released)
    stopped = began(workspace)
    append(released)
    with watching(workspace) as happened:
        until(lambda: any(isinstance(one, Retraining) for one in happened), seconds=120)
    (done,) = retraining.history(workspace.ports.state)
    assert (done.at, done.reason, done.version, done.deployed) == (stopped.at, stopped.reason, 2, True)
    assert notes.kept[0].startswith("going on with the retraining of")


def append(project: SmallProject) -> None:
    more = projects.customers(800, seed=8, first=50_000).cast(pl.String)
    pl.concat([pl.read_csv(project.table, infer_schema=False), more]).write_csv(project.table)


@pytest.mark.parametrize("ended", [{"version": 2, "deployed": True}, {"error": "the gates failed"}])
def test_a_retraining_that_ended_is_not_gone_on_with(released: SmallProject, ended: dict[str, Any]) -> None:
    workspace, _ = opened(released)
    began(workspace, **ended)
    assert retraining.unfinished(workspace.ports.state) is None


def test_a_retraining_under_way_in_a_living_process_is_left_to_it(released: SmallProject) -> None:
    workspace, _ = opened(released)
    began(workspace)
    under_way = RunRecord("r", "training", Status.RUNNING, workspace.clock(), pid=os.getpid())
    workspace.ports.state.append("runs", encode(under_way))
    assert retraining.unfinished(workspace.ports.state) is None


@pytest.mark.parametrize(("stopped", "error"), [(False, "no gate passed"), (True, None)])
def test_a_retraining_that_fails_while_it_is_being_stopped_has_not_failed(
    released: SmallProject, stopped: bool, error: str | None
) -> None:
    def fail(since: datetime | None) -> int:
        raise GateFailed("no gate passed")

    state = released.open().ports.state
    decision = Decision(released.open().clock(), True, None, ("by hand",))
    done = retraining.act(state, decision, fail, lambda version: None, stopped=lambda: stopped)
    assert done.error == error
    assert (retraining.unfinished(state) is not None) is stopped


def scheduled(workspace: Workspace, job: Job) -> list[Slot]:
    ended = (Turnout.DONE, Turnout.FAILED)  # the clock of these tests jumps over some
    return [one for one in schedule.history(workspace.ports.state) if one.job is job and one.turnout in ended]


def by_the_clock(project: SmallProject, monkeypatch: pytest.MonkeyPatch, **times: str) -> tuple[Workspace, Notes]:
    """A project whose clock jumps a minute each time that somebody looks at it."""
    monkeypatch.setattr(service, "_CLOCK", timedelta(seconds=0.01))
    looked = count()
    start = datetime.now(UTC).replace(second=0, microsecond=0)
    settings = [*QUICK, *(f'schedule.{job}="{cron}"' for job, cron in times.items())]
    loaded = project.open(*settings).loaded
    workspace = Workspace(loaded, Notes(), clock=lambda: start + next(looked) * timedelta(minutes=1))
    return workspace, cast(Notes, workspace.progress)


def test_the_schedule_reads_data_trains_and_looks_each_at_its_time(
    released: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(released)
    workspace, _ = by_the_clock(
        released, monkeypatch, data="*/5 * * * *", training="*/7 * * * *", monitoring="* * * * *"
    )
    with watching(workspace) as happened:
        until(lambda: all(scheduled(workspace, job) for job in Job), seconds=120)  # a training is among them
    (data, *_), (trained, *_) = scheduled(workspace, Job.DATA), scheduled(workspace, Job.TRAINING)
    assert data.text.startswith("1,600 rows, ")
    assert trained.text == "version 2 is being released"
    assert retraining.history(workspace.ports.state)[0].reason.startswith("the schedule asks for it: ")
    assert "data" in {run.pipeline for run in released.runs()}
    assert any(isinstance(one, MonitorReport) for one in happened)


def test_a_scheduled_training_on_the_same_data_is_no_failure(
    released: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = by_the_clock(released, monkeypatch, training="* * * * *")
    with watching(workspace):
        until(lambda: len(scheduled(workspace, Job.TRAINING)) >= 1, seconds=120)
    (done, *_) = scheduled(workspace, Job.TRAINING)
    assert (done.turnout, done.text) == (Turnout.DONE, "nothing changed: version 1 is champion already")
    # The clock jumps while it trains, and times that it jumps over are told as missed.
    assert [told for told in failures(workspace) if " missed " not in told] == []
    assert retraining.unfinished(workspace.ports.state) is None
    assert "nothing changed" in released.call("status").out


def test_a_source_that_is_away_at_its_time_is_an_alarm_and_shown(
    released: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    released.table.unlink()
    workspace, _ = by_the_clock(released, monkeypatch, data="*/5 * * * *")
    with watching(workspace):
        until(lambda: bool(failures(workspace) and scheduled(workspace, Job.DATA)))  # a missed time is one too
    (failed, *_) = scheduled(workspace, Job.DATA)
    assert failed.turnout is Turnout.FAILED
    assert failed.retry is not None
    history = released.call("history", "--schedule")
    assert "failed" in history.out
    assert 'scheduled_runs_total{status="failed",task="data"}' in metrics(workspace)


def metrics(workspace: Workspace) -> str:
    from everfit.flow.observed import observed
    from everfit.serving.metrics import ServingMetrics
    from everfit.serving.watch_metrics import WatchMetrics

    shown = ServingMetrics()
    shown.registry.register(WatchMetrics(lambda: observed(workspace.ports.state)))
    return shown.text().decode()


def test_nothing_is_trained_by_the_clock_while_a_canary_is_on_trial(
    two: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.open().release(2)
    workspace, _ = by_the_clock(two, monkeypatch, training="* * * * *")
    with watching(workspace):
        until(lambda: len(scheduled(workspace, Job.TRAINING)) >= 1, seconds=120)
    assert scheduled(workspace, Job.TRAINING)[0].text == "not trained: version 2 is on trial: its verdict comes first"
    assert "training: Every minute (UTC), next " in two.call("status", "--set", 'schedule.training="* * * * *"').out


def beside(project: SmallProject, folder: Path, *settings: str) -> Workspace:
    """Another project: a copy under another name."""
    shutil.copytree(project.folder, folder)
    return opened(SmallProject(folder), "project=second", *settings)[0]


def test_several_projects_answer_at_one_address(released: SmallProject, tmp_path: Path) -> None:
    first, second = opened(released)[0], beside(released, tmp_path / "second")
    stop, port = threading.Event(), Future[int]()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(service.serve, first, None, 0, port.set_result, stop, [second])
        try:
            url = f"http://127.0.0.1:{port.result(timeout=20)}/models"
            ids = {
                name: httpx.post(f"{url}/{name}/predict", json=ROW, timeout=20).json()["id"]
                for name in ("churn", "second")
            }
            assert httpx.get(f"{url}/second/explain/{ids['second']}", timeout=20).status_code == 200
            assert httpx.get(f"{url}/second/explain/{ids['churn']}", timeout=20).status_code == 404
        finally:
            stop.set()
        done.result(timeout=20)
    for name, workspace in (("churn", first), ("second", second)):
        assert ids[name] in {record.id for record in workspace.ports.log.read()}


@pytest.mark.parametrize("setting", ["serving.grpc.port=0", "project=churn"])
def test_projects_that_cannot_share_a_server_are_refused(released: SmallProject, tmp_path: Path, setting: str) -> None:
    second = beside(released, tmp_path / "second", setting)
    with pytest.raises(ProjectError):
        service.serve(opened(released)[0], port=0, others=[second])
