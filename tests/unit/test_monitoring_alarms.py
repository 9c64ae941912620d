"""Alarms: within the budget, in words, and once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from everfit.monitoring.alarms import alarms
from everfit.monitoring.budget import alpha_per_look
from everfit.monitoring.drift import drift
from everfit.monitoring.profile import profile
from everfit.monitoring.standing import unsent
from everfit.project.sections.monitoring import Monitoring
from everfit.records.profile import Profile
from everfit.records.quality import FailedCheck, Origin, QualityLook
from everfit.records.table import Kind, Severity
from everfit.records.watch import Alarm, AlarmKind, ImpactEstimate, PerformanceReport

AT = datetime(2026, 1, 2, tzinfo=UTC)
KINDS = {
    "monthly_charges": Kind.NUMERIC,
    "senior": Kind.BOOLEAN,
    "contract": Kind.CATEGORICAL,
    "joined": Kind.DATE,
    "tenure": Kind.NUMERIC,
}
Columns = dict[str, NDArray[Any]]


def table(rows: int, seed: int) -> Columns:
    generator = np.random.default_rng(seed)
    return {
        "monthly_charges": generator.normal(65, 30, rows),
        "senior": (generator.random(rows) < 0.1).astype(np.float64),
        "contract": np.array(["monthly", "yearly"], dtype=object)[generator.integers(0, 2, rows)],
        "joined": np.datetime64("2020-01-01", "us") + generator.integers(0, 300, rows).astype("timedelta64[D]"),
        "tenure": generator.normal(30, 5, rows),
    }


@pytest.fixture(scope="module")
def trained() -> Profile:
    return profile(table(4_000, 1), KINDS, np.linspace(0.1, 0.4, 500), "roc_auc", 0.8, 500)


def raised(trained: Profile, now: Columns, score: NDArray[np.float64] | None = None) -> tuple[Alarm, ...]:
    report = drift(trained, now, score, 0.001, 0.02, AT, AT)
    return alarms(AT, 7, trained, now, score, drift=report)


def test_the_budget_is_shared_by_looks_and_families() -> None:
    assert alpha_per_look(Monitoring(every="1d", alarms="3/month")) == pytest.approx(1 / 60)
    assert alpha_per_look(Monitoring(every="1h", alarms="1/month")) == pytest.approx(1 / 720 / 6)


def test_no_budget_is_so_large_that_one_look_in_twenty_is_false() -> None:
    assert alpha_per_look(Monitoring(every="1d", alarms="10/hour")) == 0.05


def test_nothing_found_raises_nothing(trained: Profile) -> None:
    assert raised(trained, table(2_000, 2), np.linspace(0.1, 0.4, 2_000)) == ()


def test_a_drift_alarm_names_the_column_and_both_figures(trained: Profile) -> None:
    now = table(2_000, 2)
    now["monthly_charges"] += 60
    (alarm,) = raised(trained, now)
    assert alarm.kind is AlarmKind.DRIFT
    assert alarm.key == "drift:7:monthly_charges"
    assert alarm.false_alarm_rate == 0.001
    assert "1 column drifted in 2,000 predictions: monthly_charges moved: " in alarm.message
    assert "p < 1e-12; mean was 64.7, now 12" in alarm.message


def test_the_worst_columns_come_first_and_the_rest_are_counted(trained: Profile) -> None:
    now = table(2_000, 2)
    now["monthly_charges"] += 300
    now["senior"] = 1 - now["senior"]
    now["contract"][::2] = "two years"
    now["joined"] += np.timedelta64(60, "D")
    now["tenure"] = (now["tenure"] - 30) * 2 + 30
    (alarm,) = raised(trained, now)
    assert alarm.message.index("monthly_charges") < alarm.message.index("senior") < alarm.message.index("contract")
    assert alarm.message.endswith("; and 2 more")
    assert set(alarm.evidence) == set(KINDS)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("senior", "true was 10%, now 90%"),
        ("contract", "'two years' was 0%, now 33%; 33% of rows hold levels never seen in training"),
        ("joined", "mean was 2020-"),
        ("tenure", "standard deviation was 4.97"),
    ],
)
def test_each_kind_of_column_is_told_in_its_own_words(trained: Profile, column: str, words: str) -> None:
    now = table(2_000, 2)
    if column == "senior":
        now["senior"] = np.arange(2_000) % 10 > 0
    if column == "contract":
        now["contract"][::3] = "two years"
    if column == "joined":
        now["joined"] += np.timedelta64(60, "D")
    if column == "tenure":
        now["tenure"] = (now["tenure"] - now["tenure"].mean()) * 2 + 30
    (alarm,) = raised(trained, now)
    assert words in alarm.message


def test_missing_values_are_told_by_their_share(trained: Profile) -> None:
    now = table(2_000, 2)
    now["tenure"][:] = np.nan
    (alarm,) = raised(trained, now)
    assert "tenure: missing values rose from 0% to 100% of rows" in alarm.message


def test_the_score_has_an_alarm_of_its_own(trained: Profile) -> None:
    (alarm,) = raised(trained, table(2_000, 2), np.linspace(0.3, 0.6, 2_000))
    assert (alarm.kind, alarm.key) == (AlarmKind.PREDICTION_DRIFT, "prediction_drift:7:score")
    assert "mean was 0.25, now 0.45" in alarm.message


def test_a_fallen_metric_and_broken_checks_come_before_drift(trained: Profile) -> None:
    now = table(2_000, 2)
    now["tenure"] += 9
    fallen = PerformanceReport("roc_auc", 0.7, 0.66, 0.74, 0.84, 812, 0.9, True, 0.001)
    broken = FailedCheck("nulls", "tenure", Severity.WARNING, "12%", "at most 5%", 0.12, 0.0, 1e-9, is_news=True)
    report = drift(trained, now, None, 0.001, 0.02, AT, AT)
    found = alarms(
        AT,
        7,
        trained,
        now,
        drift=report,
        performance=fallen,
        impact=ImpactEstimate("accuracy", 0.8, 0.75, 0.05),
        quality=QualityLook(AT, Origin.PREDICTIONS, 2_000, 0.9, 12, (broken,), 0.001, "7"),
    )
    assert [a.kind for a in found] == [AlarmKind.PERFORMANCE, AlarmKind.QUALITY, AlarmKind.DRIFT]
    assert "roc_auc of version 7 is 0.7 (0.66 to 0.74) on 812 labelled predictions; it was 0.84" in found[0].message
    assert found[1].message.startswith("1 check failed on 2,000 rows of predictions: nulls of tenure: 12%")
    assert found[2].message.endswith("Estimated accuracy: 0.8, now 0.75")


def test_what_is_no_news_and_a_metric_that_holds_raise_nothing(trained: Profile) -> None:
    holds = PerformanceReport("roc_auc", 0.84, 0.8, 0.88, 0.84, 812, 0.9, False, 0.001)
    usual = FailedCheck("nulls", "age", Severity.WARNING, "3%", "at most 1%", 0.03, 0.03, 1.0)
    look = QualityLook(AT, Origin.PREDICTIONS, 10, 0.9, 12, (usual,), 0.001, "7")
    assert alarms(AT, 7, trained, {}, performance=holds, quality=look) == ()


def named(*columns: str, version: int = 7) -> Alarm:
    return Alarm(f"drift:{version}:" + ",".join(columns), AlarmKind.DRIFT, AT, "moved")


def test_an_alarm_is_sent_again_only_for_a_new_cause_or_a_new_version() -> None:
    open_keys = ["drift:7:age", "drift:7:tenure", "prediction_drift:7:score"]
    assert unsent([named("age", "tenure")], open_keys) == ()
    assert unsent([named("age", "score")], open_keys) == (named("age", "score"),)
    assert unsent([named("age", version=8)], open_keys) == (named("age", version=8),)
    assert unsent([named("age")], []) == (named("age"),)


def test_a_column_name_with_separators_is_still_one_cause(trained: Profile) -> None:
    odd = profile({"a,b:c": np.arange(100.0)}, {"a,b:c": Kind.NUMERIC}, np.array([0.5]), "roc_auc", 0.8, 1)
    (alarm,) = raised(odd, {"a,b:c": np.arange(100.0) + 90})
    assert unsent([alarm], [alarm.key]) == ()
    assert unsent([named("a")], [alarm.key]) == (named("a"),)
