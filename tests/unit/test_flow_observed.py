"""What metrics are made of is read once: a scrape costs what is new, however long the history is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from everfit.adapters.state.sqlite import SqliteState
from everfit.flow import alerting, ledger, monitoring, quality
from everfit.flow.observed import Observer, observed
from everfit.flow.run import RUNS
from everfit.records.codec import encode
from everfit.records.model import ModelVersion
from everfit.records.quality import Origin, QualityLook
from everfit.records.release import EventKind
from everfit.records.run import RunRecord, Status
from everfit.records.watch import Alarm, AlarmKind, AlarmState, Decision, MonitorReport, PerformanceReport
from everfit.rollout.strategy import Draft

AT = datetime(2026, 1, 1, tzinfo=UTC)
LOOK = MonitorReport(AT, 500, None, None, None, (), Decision(AT, False, None, ()))
JUDGED = replace(LOOK, performance=PerformanceReport("roc_auc", 0.8, 0.7, 0.9, 0.84, 600, 0.75, False, 0.001))
RUN = RunRecord("a", "training", Status.RUNNING, AT, pid=0, host="elsewhere")
ALARM = Alarm("drift:1:age", AlarmKind.DRIFT, AT, "age moved")


class Counted(SqliteState):
    """A state that counts the documents it has given."""

    given = 0

    def read(self, stream: str, after: int = 0) -> list[tuple[int, bytes]]:
        found = super().read(stream, after)
        self.given += len(found)
        return found


@pytest.fixture
def state(tmp_path: Path) -> Counted:
    return Counted(tmp_path / "state.db")


def fill(state: Counted) -> None:
    for look in (JUDGED, LOOK):
        state.append(monitoring.LOOKS, encode(look))
    for key in ("a", "b"):
        state.append(alerting.ALARMS, encode(replace(ALARM, key=key)))
    now = datetime.now(UTC)
    for name, status in (("1", Status.DONE), ("2", Status.FAILED), ("3", Status.RUNNING)):
        begun = replace(RUN, id=name, started_at=now)
        state.append(RUNS, encode(begun))
        if status is not Status.RUNNING:
            state.append(RUNS, encode(replace(begun, status=status, ended_at=now + timedelta(seconds=7))))
    state.append(quality.RUNS_QUALITY, encode(QualityLook(AT, Origin.RUN, 800, 1.0, 3, (), 0.01, "1")))
    ledger.register(state, ModelVersion("churn", 1, "hash", "run", AT, {"f1": 0.6}, {}), "ann", AT)
    ledger.commit(state, lambda _: [Draft(EventKind.PROMOTED, 1, "first", {})], "ann", AT)


def test_all_of_it_is_known(state: Counted) -> None:
    fill(state)
    found = observed(state)
    assert (found.look, found.judged) == (LOOK, JUDGED)
    assert len(found.alarms) == 2
    assert found.ended == {("training", Status.DONE): 1, ("training", Status.FAILED): 1}
    assert [run.id for run in found.last] == ["2"]
    assert (found.rows, found.events["promoted"], found.tests) == (800, 1, {1: {"f1": 0.6}})


def test_a_second_scrape_reads_nothing_again(state: Counted) -> None:
    fill(state)
    observer = Observer(state)
    first = observer()
    given = state.given
    assert observer() == first
    assert state.given == given


def test_what_is_new_is_seen_and_nothing_else_is_read(state: Counted) -> None:
    fill(state)
    observer = Observer(state)
    observer()
    before = state.given
    alarm = replace(ALARM, key="a")
    alerting.change(SqliteState(state._path), alarm.id, AlarmState.RESOLVED, "ann", "mended", AT)
    state.append(RUNS, encode(replace(RUN, id="3", status=Status.DONE, ended_at=AT)))
    found = observer()
    assert [one.key for one in found.alarms] == ["b"]
    assert found.ended["training", Status.DONE] == 2
    assert state.given == before + 2


def test_a_run_whose_process_is_gone_counts_as_failed_once(state: Counted) -> None:
    state.append(RUNS, encode(replace(RUN, started_at=AT - timedelta(days=9))))
    observer = Observer(state)
    assert observer().ended == {("training", Status.FAILED): 1}
    assert observer().ended == {("training", Status.FAILED): 1}


def test_a_long_history_of_looks_is_not_read_whole(state: Counted) -> None:
    for _ in range(600):
        state.append(monitoring.LOOKS, encode(LOOK))
    observed(state)
    assert state.given == 500
