"""`everfit up` closes the loop without a human, goes on when a part of it fails, and ends when it is told to."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable

import polars as pl
import pytest

from everfit.flow import alerting, lease, ledger, retraining
from everfit.records.release import EventKind
from everfit.records.watch import AlarmKind
from everfit.testing import churn
from tests.integration import projects
from tests.integration.projects import START, SmallProject
from tests.integration.running import Caller, Running, running, until

QUICK = (
    "--port=0",
    "--set=serving.refresh=0.1s",
    "--set=release.look=0.5s",
    "--set=release.steps=[30%, 60%]",
    "--set=release.verdict.requests=40",
    "--set=release.verdict.errors=10pp",
    "--set=monitoring.every=1s",
    "--set=monitoring.rows=300",
    "--set=monitoring.alarms=100/day",
    "--set=retraining.cooldown=1s",
)
# Retrains at every look, were it not for the cooldown.
BY_SCHEDULE = ("--set=retraining.on=[schedule]", "--set=retraining.schedule=1s", "--set=retraining.cooldown=1h")
SLOW = """\
import pathlib, time
from sklearn.naive_bayes import GaussianNB
HERE = pathlib.Path(__file__).parent
class Slow(GaussianNB):
    def fit(self, x, y):
        (HERE / "began").touch()
        while (HERE / "hold").exists():
            time.sleep(0.05)
        return super().fit(x, y)
"""


def turned(rows: int, seed: int, first: int) -> pl.DataFrame:
    """Customers who leave for the opposite reasons."""
    drift = churn.Drift("concept", 1.0, after=START)
    return churn.customers(rows, seed=seed, start=START, days=90, drift=drift, first=first)


def append(project: SmallProject, more: pl.DataFrame) -> None:
    """More rows in the source table, visible all at once."""
    table = pl.concat([pl.read_csv(project.table, infer_schema=False), more.cast(pl.String)])
    table.write_csv(project.folder / "new.csv")
    (project.folder / "new.csv").rename(project.table)


def alarms(project: SmallProject) -> set[AlarmKind]:
    return {alarm.kind for alarm in alerting.history(project.open().ports.state)}


def quiet(up: Running, caller: Caller, project: SmallProject) -> None:
    """Traffic as in training: looked at, and no alarm."""
    caller.ask(projects.customers(400, seed=5, first=20_000))
    until(lambda: any(look["performance"] for look in up.happened("report")), "a look at performance", up)
    assert alarms(project) == set()


def changed(up: Running, caller: Caller) -> None:
    """Traffic from a changed world until another version answers all of it."""
    batches = itertools.count()

    def answered_by_the_next() -> bool:
        caller.ask(turned(50, seed=100 + (number := next(batches)), first=40_000 + 50 * number))
        return [(arm["arm"], arm["version"]) for arm in caller.get("/version")["arms"]] == [("champion", 2)]

    until(answered_by_the_next, "version 2 answers", up)


def test_decay_in_production_ends_in_a_new_deployed_model_without_a_human(released: SmallProject) -> None:
    with running(released, "up", *QUICK) as up:
        caller = Caller(up.url())
        quiet(up, caller, released)
        append(released, turned(2_400, seed=6, first=30_000))
        changed(up, caller)
        assert up.end() == 0, up.err.read_text()

    state, log = released.open().ports.state, released.open().ports.log
    assert AlarmKind.PERFORMANCE in alarms(released)
    (done,) = retraining.history(state)
    assert (done.version, done.deployed, done.error) == (2, True, None)
    assert "performance has fallen" in done.reason
    happened = [event.kind for event in ledger.events(state) if event.version == 2]
    assert happened == [
        EventKind.REGISTERED,
        EventKind.GATED,
        EventKind.RELEASED,
        EventKind.ADVANCED,
        EventKind.PROMOTED,
    ]
    assert caller.arms["challenger"] >= 80
    assert set(caller.statuses) == {200}
    assert sorted(record.id for record in log.read()) == sorted(caller.ids)


def test_a_watch_that_fails_is_an_alarm_and_the_server_goes_on(released: SmallProject) -> None:
    with running(released, "up", *QUICK) as up:
        caller = Caller(up.url())
        champion = ledger.champion(released.open().ports.state)
        assert champion is not None
        place = released.store / "artifacts" / champion.bundle_hash[:2] / champion.bundle_hash
        (place / "card.md").write_text("not what was stored")
        until(lambda: AlarmKind.FAILURE in alarms(released), "the alarm", up)
        caller.ask(projects.customers(50, seed=5, first=20_000))
        assert caller.get("/ready")["version"] == 1
        assert up.end(signal.SIGINT) == 0
    assert "monitor failed" in up.err.read_text()
    assert set(caller.statuses) == {200}


@pytest.fixture
def slow(project: Callable[..., SmallProject]) -> SmallProject:
    """A project in production whose model waits in its fit while there is a file `hold`."""
    made = project(300, projects.SETTINGS.replace("[logistic]", "[{name: slow, class: slow.Slow}]"))
    (made.folder / "slow.py").write_text(SLOW)
    assert made.call("run").code == 0
    made.open().release()
    append(made, projects.customers(300, seed=8, first=50_000))
    (made.folder / "hold").touch()
    (made.folder / "began").unlink()
    return made


def test_a_retraining_stopped_by_a_signal_is_gone_on_with_at_the_next_start(slow: SmallProject) -> None:
    with running(slow, "up", *QUICK, *BY_SCHEDULE, name="first") as up:
        until((slow.folder / "began").exists, "the retraining", up)
        assert up.end() == 0
        assert "the next `everfit up` goes on with it" in up.err.read_text()
    (stopped,) = retraining.history(slow.open().ports.state)
    assert (stopped.version, stopped.error) == (None, None)

    (slow.folder / "hold").unlink()
    with running(slow, "up", *QUICK, *BY_SCHEDULE, name="second") as up:
        until(lambda: bool(up.happened("retraining")), "the end of the retraining", up)
        assert up.end() == 0
    (done,) = retraining.history(slow.open().ports.state)
    assert (done.at, done.version, done.deployed) == (stopped.at, 2, True)


def test_a_watch_prints_a_line_of_json_for_each_look_until_it_is_told_to_end(released: SmallProject) -> None:
    with running(released, "monitor", "--watch", "--set=monitoring.every=0.1s") as watch:
        until(lambda: len(watch.happened("report")) >= 2, "two looks", watch)
        assert watch.end() == 0
    first, second, *_ = watch.happened("report")
    assert first["decision"]["retrain"] is False
    assert first["at"] < second["at"]


def test_a_second_one_on_the_machine_is_refused_while_the_first_is_alive(released: SmallProject) -> None:
    state = released.open().ports.state
    with running(released, "up", "--port", "0") as first:
        first.url()
        until(lambda: state.last(lease.STREAM) is not None, "it is at work", first)
        second = released.call("up", "--port", "0")
        assert second.code == 8
        assert f"another process acts on this project: process {first.process.pid} on" in second.err
        assert "everfit serve" in second.err
        first.process.kill()
        first.process.wait()
    lease.check_alone(state)
