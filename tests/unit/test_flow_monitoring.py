"""A look at production: each prediction and each label once, of the champion alone, and when they are ripe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from tests.unit.flow_places import Told
from tests.unit.serving_models import MemoryLog, model

from everfit.adapters.labels.sqlite import SqliteLabels
from everfit.adapters.state.sqlite import SqliteState
from everfit.flow import alerting, monitoring, retraining
from everfit.monitoring.profile import profile
from everfit.project.sections.root import Project
from everfit.records.codec import decode, encode
from everfit.records.model import Evaluation, Manifest
from everfit.records.prediction import Label, PredictionRecord
from everfit.records.profile import LossKind, LossProfile
from everfit.records.release import ReleaseState
from everfit.records.table import CheckResult, Column, Kind, Row, Schema, Severity
from everfit.records.watch import AlarmKind, MonitorReport, Retraining, StreamState, Trigger

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = ("tenure", "plan")


def drawn(rows: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], Any]:
    rng = np.random.default_rng(seed)
    tenure = rng.normal(30 + shift, 10, rows)
    plan = rng.choice(np.array(["basic", "full"], dtype=object), rows)
    return tenure, plan, 1 / (1 + np.exp((tenure - 30) / 5))


def manifest() -> Manifest:
    tenure, plan, score = drawn(2_000, 1)
    kinds = {"tenure": Kind.NUMERIC, "plan": Kind.CATEGORICAL}
    found = profile({"tenure": tenure, "plan": plan}, kinds, score[:400], "roc_auc", 0.88, 400)
    example: Row = {"customerID": "c-1", "tenure": 30.0, "plan": "basic"}
    checked = CheckResult("nulls", "tenure", True, Severity.WARNING, "4.00%", "at most 5.00%", 80)
    about = replace(model().manifest, example=example, checked=(checked,))
    about = replace(about, lineage=replace(about.lineage, dataset=replace(about.lineage.dataset, rows=2_000)))
    return replace(about, profile=found, evaluation=Evaluation({}, {"roc_auc": 0.88}, {}, ()))


def dated(made: Manifest) -> Manifest:
    """With the losses of its test, made of a table of days."""
    held = LossProfile(LossKind.BRIER, 2_000, 0.12, 0.17, 1.0)
    day = Column("day", Kind.DATE, null_share=0.0, blanks=0, distinct=90)
    schema = Schema((*made.schema.columns, day))
    return replace(made, schema=schema, profile=replace(made.profile, losses=held))


class Timed(MemoryLog):
    """Gives what was answered in the time asked for and nothing else, as the log of a server does."""

    def read(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[PredictionRecord]:
        assert since is not None
        assert until is not None
        return (record for record in self.records if since <= record.time < until)


class Production:
    """A champion since START, its log, labels and looks."""

    def __init__(self, folder: Path, delay: str = "0s", drift: dict[str, object] | None = None) -> None:
        self.log, self.labels = MemoryLog(), SqliteLabels(folder / "labels.db")
        self.state = SqliteState(folder / "state.db")
        self.project = Project.model_validate(
            {
                "project": "churn",
                "data": {"source": "t.csv", "target": {"column": "Churn", "delay": delay}, "time": "day"},
                "monitoring": {"rows": 200, "window": "60d" if drift else "30d", "drift": drift or {}},
                "retraining": {"cooldown": "0s", "rows": 100},
                "checks": [{"column": "tenure", "nulls": "5%", "severity": "warning"}],
            }
        )
        self.manifest = manifest()
        self.release = ReleaseState(number=2, champion=1, champion_since=START, latest=1, registered=(1,))

    def predict(
        self, rows: int, at: datetime, seed: int = 2, shift: float = 0.0, version: int = 1, tied: bool = False
    ) -> Sequence[PredictionRecord]:
        tenure, plan, score = drawn(rows, seed, shift)
        if tied:
            plan = np.where(tenure > np.median(tenure), "basic", "full").astype(object)
        sent: list[Row] = [{"tenure": t, "plan": p} for t, p in zip(tenure.tolist(), plan.tolist(), strict=True)]
        made = [
            PredictionRecord(f"{seed}-{i}", at, None, row, row, "champion", version, s, "Yes", 0.001)
            for i, (row, s) in enumerate(zip(sent, score.tolist(), strict=True))
        ]
        self.log.append(made)
        return made

    def label(self, records: Sequence[PredictionRecord], known_at: datetime, turned: bool = False) -> None:
        random = np.random.default_rng(3)
        for record in records:
            churned = random.random() < (record.score or 0.0)
            self.labels.put([Label(record.id, self.manifest.classes[int(churned != turned)], known_at)])

    def look(self, at: datetime, forced: bool = False) -> MonitorReport:
        log = Timed(self.log.records)
        watched = monitoring.Watched(self.project, self.release, log, self.labels, self.state)
        return monitoring.look(watched, self.manifest, at, forced)


@pytest.fixture
def production(tmp_path: Path) -> Production:
    return Production(tmp_path)


def test_the_same_kind_of_customers_is_no_drift(production: Production) -> None:
    production.predict(400, START + DAY)
    report = production.look(START + 2 * DAY)
    assert report.predictions == 400
    assert report.drift is not None
    assert (report.drift.rows, report.drift.is_drift, report.alarms, report.decision.retrain) == (400, False, (), False)


def test_moved_columns_are_an_alarm_and_with_their_price_a_retraining(production: Production) -> None:
    production.predict(400, START + DAY, shift=-25)
    report = production.look(START + 2 * DAY)
    assert report.drift is not None
    assert {c.column for c in report.drift.columns if c.drifted} == {"tenure"}
    assert {alarm.kind for alarm in report.alarms} >= {AlarmKind.DRIFT}
    (moved,) = (alarm for alarm in report.alarms if alarm.kind is AlarmKind.DRIFT)
    assert [shape.column for shape in moved.shapes] == ["tenure"]


def test_an_alarm_about_a_personal_column_has_no_picture(production: Production) -> None:
    data = production.project.data.model_copy(update={"personal": {"tenure": "hash"}})
    production.project = production.project.model_copy(update={"data": data})
    production.predict(400, START + DAY, shift=-25)
    alarms = production.look(START + 2 * DAY).alarms
    assert [alarm.shapes for alarm in alarms if alarm.kind is AlarmKind.DRIFT] == [()]


def test_too_few_are_not_tested_and_count_in_the_next_look(production: Production) -> None:
    production.predict(150, START + DAY)
    assert production.look(START + 2 * DAY).drift is None
    production.predict(150, START + 3 * DAY, seed=4)
    second = production.look(START + 4 * DAY).drift
    assert second is not None
    assert second.rows == 300


def test_each_prediction_is_tested_once(production: Production) -> None:
    production.predict(400, START + DAY, shift=-25)
    first, second = production.look(START + 2 * DAY), production.look(START + 3 * DAY)
    assert (first.drift is None, second.drift is None) == (False, True)
    assert second.alarms == ()


def test_only_the_champions_answers_since_it_is_champion_count(production: Production) -> None:
    production.predict(300, START + DAY, seed=5, shift=-25, version=2)
    production.predict(250, START + DAY, seed=6)
    failed = production.predict(300, START + DAY, seed=7, shift=-25)
    production.log.records = [
        structs.replace(r, error="failed", score=None) if r in failed else r for r in production.log.records
    ]
    report = production.look(START + 2 * DAY)
    assert report.predictions == 250
    assert report.drift is not None
    assert not report.drift.is_drift


def emptied(production: Production, every: int) -> None:
    """Every so many-th row that was sent loses its tenure."""
    sent = production.log.records
    production.log.records = [
        structs.replace(one, input={**one.input, "tenure": None}) if place % every == 0 else one
        for place, one in enumerate(sent)
    ]


def test_what_callers_sent_is_checked_as_the_training_was(production: Production) -> None:
    production.predict(400, START + DAY)
    found = production.look(START + 2 * DAY).quality
    assert found is not None
    assert (found.rows, found.score, found.failed, found.about) == (400, 1.0, (), "1")


def test_a_check_that_fails_more_often_than_in_training_is_an_alarm_until_it_passes(production: Production) -> None:
    production.predict(400, START + DAY)
    emptied(production, 4)
    report = production.look(START + 2 * DAY)
    assert report.quality is not None
    assert [(one.column, one.share, one.is_news) for one in report.quality.failed] == [("tenure", 0.25, True)]
    (alarm,) = [one for one in report.alarms if one.kind is AlarmKind.QUALITY]
    assert "nulls of tenure: 25.00%, expected at most 5.00% (4% of rows in training)" in alarm.message
    alerting.send(report.alarms, {}, production.state, Told(), report.at)
    production.predict(400, START + 3 * DAY, seed=4)
    later = production.look(START + 4 * DAY)
    assert [one.kind for one in alerting.settle(later, production.state, later.at)] == [AlarmKind.QUALITY]


def test_a_check_that_fails_as_often_as_in_training_is_told_and_no_alarm(production: Production) -> None:
    production.predict(400, START + DAY)
    emptied(production, 18)
    report = production.look(START + 2 * DAY)
    assert report.quality is not None
    assert [one.is_news for one in report.quality.failed] == [False]
    assert report.alarms == ()


def test_labels_are_held_against_the_test_metric(production: Production) -> None:
    production.label(production.predict(400, START + DAY), START + 2 * DAY)
    report = production.look(START + 3 * DAY)
    assert report.performance is not None
    assert (report.performance.labels, report.performance.coverage, report.performance.degraded) == (400, 1.0, False)


def test_a_model_that_is_wrong_by_now_is_found_and_retrained(production: Production) -> None:
    production.label(production.predict(400, START + DAY), START + 2 * DAY, turned=True)
    report = production.look(START + 3 * DAY)
    assert report.performance is not None
    assert report.performance.degraded
    assert (report.decision.retrain, report.decision.trigger) == (True, Trigger.PERFORMANCE)
    assert AlarmKind.PERFORMANCE in {alarm.kind for alarm in report.alarms}


def test_labels_of_one_class_alone_leave_a_metric_of_ranks_open(production: Production) -> None:
    production.labels.put([Label(one.id, "No", START + 2 * DAY) for one in production.predict(400, START + DAY)])
    report = production.look(START + 3 * DAY)
    assert report.performance is not None
    assert (report.performance.value, report.performance.degraded, report.performance.labels) == (None, False, 400)


def test_a_fall_is_seen_label_by_label_before_a_window_is_full(production: Production) -> None:
    production.manifest = dated(production.manifest)
    production.label(production.predict(190, START + DAY), START + 2 * DAY, turned=True)
    report = production.look(START + 3 * DAY)
    assert report.performance is None
    assert report.losses is not None
    assert (report.losses.degraded, report.losses.labels) == (True, 190)
    (alarm,) = [one for one in report.alarms if one.kind is AlarmKind.PERFORMANCE]
    assert "has risen, seen label by label" in alarm.message
    assert (report.decision.retrain, report.decision.trigger) == (True, Trigger.PERFORMANCE)
    assert production.look(START + 4 * DAY).losses is None  # each label once


def test_each_label_is_counted_once(production: Production) -> None:
    production.label(production.predict(400, START + DAY), START + 2 * DAY)
    first, second = production.look(START + 3 * DAY), production.look(START + 4 * DAY)
    assert (first.performance is None, second.performance is None) == (False, True)


def test_a_label_that_arrives_after_a_look_counts_however_early_it_was_learned(production: Production) -> None:
    production.label(production.predict(300, START + DAY, seed=8), START + 2 * DAY)
    late = production.predict(250, START + DAY, seed=9)
    assert production.look(START + 3 * DAY).performance is not None
    production.label(late, START + 2 * DAY)
    second, third = production.look(START + 4 * DAY), production.look(START + 5 * DAY)
    assert second.performance is not None
    assert second.performance.labels == 250
    assert third.performance is None


def test_a_label_counts_when_its_prediction_has_matured_however_early_it_was_known(tmp_path: Path) -> None:
    production = Production(tmp_path, delay="10d")
    old = production.predict(300, START + DAY, seed=8)
    young = production.predict(300, START + 5 * DAY, seed=9)
    for records in (old, young):
        production.label(records, START + 6 * DAY)
    assert production.look(START + 7 * DAY).performance is None
    counted = [production.look(START + days * DAY).performance for days in (12, 16)]
    assert [(found.labels, found.coverage) for found in counted if found] == [(300, 1.0), (300, 1.0)]


def test_labels_that_come_as_late_as_the_window_is_long_are_judged_all_the_same(tmp_path: Path) -> None:
    month = Production(tmp_path, delay="30d")  # as long as the default window
    month.label(month.predict(400, START + DAY), START + 2 * DAY)
    month.look(START + 20 * DAY)
    ripe = month.look(START + 32 * DAY)
    assert ripe.performance is not None
    assert ripe.performance.labels == 400
    assert ripe.predictions == 0  # what is older than the window is no news otherwise


def test_a_window_is_never_longer_than_it_may_be(tmp_path: Path) -> None:
    late = Production(tmp_path, delay="30d")
    late.predict(400, START + DAY)
    assert late.look(START + 40 * DAY).drift is None


def test_what_was_never_labelled_shows_in_the_coverage(production: Production) -> None:
    production.label(production.predict(400, START + DAY)[:300], START + 2 * DAY)
    report = production.look(START + 3 * DAY)
    assert report.performance is not None
    assert (report.performance.labels, report.performance.coverage) == (300, 0.75)


def test_looks_are_remembered_as_they_were(production: Production) -> None:
    production.predict(400, START + DAY)
    made = [production.look(START + 2 * DAY), production.look(START + 3 * DAY)]
    assert monitoring.looks(production.state) == made


def test_a_look_costs_the_same_however_many_there_were(production: Production, monkeypatch: pytest.MonkeyPatch) -> None:
    read = production.state.read
    monkeypatch.setattr(production.state, "read", lambda stream, after=0: [] if stream == "looks" else read(stream))
    production.label(production.predict(400, START + DAY), START + 2 * DAY)
    found = [production.look(START + day * DAY) for day in (3, 4, 5)]
    assert [(one.drift is None, one.performance is None) for one in found] == [
        (False, False),
        (True, True),
        (True, True),
    ]


def test_without_a_champion_nothing_is_tested_and_nothing_retrained(tmp_path: Path) -> None:
    production = Production(tmp_path)
    watched = monitoring.Watched(
        production.project, ReleaseState(), production.log, production.labels, production.state
    )
    report = monitoring.look(watched, None, START, forced=True)
    assert (report.drift, report.performance, report.decision.retrain) == (None, None, False)


def test_a_forced_look_retrains(production: Production) -> None:
    report = production.look(START + DAY, forced=True)
    assert (report.decision.retrain, report.decision.trigger) == (True, Trigger.MANUAL)


def test_weekends_unlike_weekdays_are_no_drift_where_seasons_are_told_of(tmp_path: Path) -> None:
    production = Production(tmp_path, drift={"seasonal": "weekday"})
    for day in range(31):
        at = START + day * DAY
        production.predict(250, at, seed=day, shift=-12.0 if at.weekday() >= 5 else 0.0)
    saturday = production.look(START + 31 * DAY).drift
    assert saturday is not None
    assert (saturday.phases, saturday.rows, saturday.is_drift) == (("Sat 2026-01-31",), 250, False)
    production.predict(250, START + 31 * DAY, seed=99, shift=25.0)
    sunday = production.look(START + 32 * DAY).drift
    assert sunday is not None
    assert {c.column for c in sunday.columns if c.drifted} == {"tenure"}
    for was, moved in ((saturday.score, sunday.score), (saturday.joint, sunday.joint)):
        assert was is not None
        assert moved is not None
        assert (was.drifted, moved.drifted) == (False, moved is sunday.score)


def test_in_seasons_columns_that_part_are_an_alarm_though_none_moved(tmp_path: Path) -> None:
    production = Production(tmp_path, drift={"seasonal": "weekday"})
    for day in range(31):
        production.predict(250, START + day * DAY, seed=day, tied=day < 30)
    (alarm,) = production.look(START + 31 * DAY).alarms
    assert "no longer go together" in alarm.message


def test_in_seasons_a_score_is_held_against_those_of_its_own_version(tmp_path: Path) -> None:
    production = Production(tmp_path, drift={"seasonal": "weekday"})
    for day in range(31):
        production.predict(250, START + day * DAY, seed=day, version=2 if day < 28 else 1)
    found = production.look(START + 31 * DAY).drift
    assert found is not None
    assert (found.score, found.joint is not None) == (None, True)


def test_a_fixed_rule_is_printed_with_how_often_it_is_wrong(tmp_path: Path) -> None:
    production = Production(tmp_path, drift={"rule": "ks"})
    production.predict(400, START + DAY)
    found = production.look(START + 2 * DAY).drift
    assert found is not None
    assert (found.rule, found.measured) == ("ks", found.alpha)
    assert 0.02 < (found.measured or 0) < 0.3


def test_columns_that_part_are_an_alarm_though_none_moved(production: Production) -> None:
    def ask(at: datetime, seed: int, together: bool) -> None:
        tenure, plan, score = drawn(1_000, seed)
        if together:
            plan = np.where(tenure > np.median(tenure), "basic", "full").astype(object)
        sent: list[Row] = [{"tenure": t, "plan": p} for t, p in zip(tenure.tolist(), plan.tolist(), strict=True)]
        production.log.append(
            [
                PredictionRecord(f"{seed}-{i}", at, None, row, row, "champion", 1, s, "Yes", 0.001)
                for i, (row, s) in enumerate(zip(sent, score.tolist(), strict=True))
            ]
        )

    ask(START + DAY, 21, together=True)
    assert production.look(START + 2 * DAY).alarms == ()
    ask(START + 3 * DAY, 22, together=False)
    (alarm,) = production.look(START + 4 * DAY).alarms
    assert "no longer go together" in alarm.message


def test_a_loss_that_has_grown_is_degraded(production: Production) -> None:
    production.manifest = replace(
        production.manifest,
        profile=replace(production.manifest.profile, metric="log_loss"),
        evaluation=Evaluation({}, {"log_loss": 0.35}, {}, ()),
    )
    production.label(production.predict(400, START + DAY), START + 2 * DAY, turned=True)
    found = production.look(START + 3 * DAY).performance
    assert found is not None
    assert (found.value or 0) > 0.35
    assert found.degraded


def test_a_small_shift_adds_up_row_by_row_over_windows(tmp_path: Path) -> None:
    production = Production(tmp_path, drift={"run_length": 100_000})
    found = []
    for day in range(1, 9):
        production.predict(250, START + day * DAY, seed=100 + day, shift=2.5)
        found.append(production.look(START + day * DAY + DAY / 2))
    assert {alarm.column for one in found for alarm in one.streams} == {"tenure"}
    assert any("row by row" in alarm.message for one in found for alarm in one.alarms)


def test_a_stream_that_does_not_change_is_quiet_and_each_row_counts_once(tmp_path: Path) -> None:
    production = Production(tmp_path, drift={"run_length": 100_000})
    for day in range(1, 5):
        production.predict(250, START + day * DAY, seed=200 + day)
        assert production.look(START + day * DAY + DAY / 2).streams == ()
    assert production.look(START + 6 * DAY).streams == ()
    assert decode(StreamState, (production.state.last("streams") or (0, b""))[1]).rows == 1_000


def test_the_estimate_is_held_against_the_labels_when_they_come(production: Production) -> None:
    for turned, apart in ((False, False), (True, True)):
        day = 1 + 5 * turned
        production.label(production.predict(400, START + day * DAY, seed=30 + turned), START + (day + 1) * DAY, turned)
        found = production.look(START + (day + 2) * DAY).performance
        assert found is not None
        assert found.accuracy is not None
        assert found.estimated is not None
        assert (abs(found.accuracy - found.estimated) > 0.2) is apart


def fall(production: Production) -> MonitorReport:
    """Two hundred predictions a day for four days, of which those of the last two are wrong."""
    labelled = START + 5 * DAY
    production.manifest = dated(production.manifest)
    for day, turned in ((0, False), (1, False), (2, True), (3, True)):
        production.label(production.predict(200, START + day * DAY, seed=40 + day), labelled, turned)
    return production.look(labelled + DAY)


def test_a_fall_is_dated_by_its_labels_and_rows_from_before_are_left_out(production: Production) -> None:
    report = fall(production)
    assert report.losses is not None
    assert report.losses.since is not None
    assert START + DAY <= report.losses.since <= START + 2 * DAY  # the last answers before may have been unlucky ones
    assert report.losses.labelled in (400, 600)
    assert (report.decision.since, report.decision.fell) == (report.losses.since,) * 2


def test_where_leaving_rows_out_released_nothing_the_next_retraining_learns_from_all(production: Production) -> None:
    refused = Retraining(START, True, "fell", error="too few rows", exit_code=5, since=START, fell=START)
    production.state.append(retraining.RETRAININGS, encode(refused))
    decision = fall(production).decision
    assert (decision.retrain, decision.since) == (True, None)
    assert decision.fell is not None


def test_a_changed_world_is_learned_again_when_four_times_as_many_of_its_rows_have_labels(
    production: Production,
) -> None:
    production.manifest = dated(production.manifest)
    done = Retraining(START + 2 * DAY, True, "fell", version=1, deployed=True, since=START, fell=START)
    production.label(production.predict(100, START, seed=1), START + DAY)
    production.state.append(retraining.RETRAININGS, encode(done))
    found = []
    for day in (3, 4):
        production.label(production.predict(200, START + day * DAY, seed=day), START + (day + 1) * DAY)
        found.append(production.look(START + (day + 1) * DAY).decision)
    assert [one.retrain for one in found] == [False, True]
    assert "had 100 labelled rows since performance fell, by now there are 500" in found[1].reasons[0]
    assert found[1].since == START
