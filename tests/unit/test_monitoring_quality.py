"""Failed checks are news only where rows break them more often than in training, beyond chance."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from everfit.monitoring.quality import failed
from everfit.monitoring.quality_alarms import of_quality, over_in
from everfit.records.quality import FailedCheck, Origin, QualityLook
from everfit.records.table import CheckResult, QualityReport, Severity
from everfit.records.watch import AlarmState

AT = datetime(2026, 1, 5, tzinfo=UTC)
BEYOND = FailedCheck("nulls", "age", Severity.WARNING, "12%", "at most 5%", 0.12, 0.04, 1e-6, is_news=True)
USUAL = replace(BEYOND, column="plan", is_news=False)
LOOK = QualityLook(AT, Origin.PREDICTIONS, 500, 0.9, 12, (BEYOND, USUAL), 0.001, "7")


def nulls(share_of: int, column: str = "age", limit: str = "at most 5.00%", passed: bool = False) -> CheckResult:
    return CheckResult("nulls", column, passed, Severity.WARNING, f"{share_of} rows", limit, share_of)


def judged(now: CheckResult, before: CheckResult, rows: int = 500) -> FailedCheck:
    (found,) = failed(QualityReport(rows, (now,), 0.5), (before,), 1_000, 0.001, 0.005)
    return found


def test_a_check_that_failed_in_training_at_the_same_rate_is_no_news() -> None:
    found = judged(nulls(60), nulls(110))
    assert (found.share, found.before, found.is_news) == (0.12, 0.11, False)


def test_more_than_chance_explains_is_news() -> None:
    assert judged(nulls(60), nulls(40)).is_news


def test_what_is_significant_but_too_small_to_matter_is_no_news() -> None:
    assert not judged(nulls(30_600), replace(nulls(50), failed=50), 600_000).is_news


def test_a_check_that_training_did_not_have_is_told_and_is_no_news() -> None:
    found = judged(nulls(400), nulls(0, limit="at most 1.00%"))
    assert (found.before, found.adjusted, found.is_news) == (None, None, False)


def test_a_check_that_passes_is_never_told() -> None:
    assert failed(QualityReport(500, (nulls(400, passed=True),), 1.0), (nulls(0),), 1_000, 0.01, 0.0) == ()


def test_rows_like_the_trainings_raise_an_alarm_as_rarely_as_is_said() -> None:
    generator, alpha, rates = np.random.default_rng(5), 0.05, (0.0, 0.002, 0.01, 0.03, 0.08, 0.3)
    alarms = 0
    for _ in range(600):
        then = tuple(nulls(int(n), f"c{i}") for i, n in enumerate(generator.binomial(2_000, rates)))
        now = QualityReport(500, tuple(nulls(int(n), f"c{i}") for i, n in enumerate(generator.binomial(500, rates))), 0)
        alarms += any(one.is_news for one in failed(now, then, 2_000, alpha, 0.0))
    assert alarms <= 600 * alpha + 3 * (600 * alpha) ** 0.5


def test_the_alarm_names_the_check_with_both_shares() -> None:
    alarm = of_quality(LOOK)
    assert alarm is not None
    assert alarm.message == (
        "1 check failed on 500 rows of predictions: nulls of age: 12%, expected at most 5% (4% of rows in training)"
    )
    assert (alarm.key, alarm.false_alarm_rate) == ("data_quality:7:age nulls", 0.001)


def test_without_news_there_is_no_alarm() -> None:
    assert of_quality(replace(LOOK, failed=(USUAL,))) is None


@pytest.mark.parametrize(
    ("later", "over"),
    [
        (replace(LOOK, at=AT + timedelta(hours=1), failed=(USUAL,)), 1),
        (replace(LOOK, at=AT + timedelta(hours=1)), 0),
        (replace(LOOK, at=AT + timedelta(hours=1), failed=(), about="8"), 0),
        (replace(LOOK, at=AT + timedelta(hours=1), failed=(), origin=Origin.RUN), 0),
    ],
)
def test_an_alarm_is_over_when_the_same_source_passes(later: QualityLook, over: int) -> None:
    alarm = of_quality(LOOK)
    assert alarm is not None
    assert len(over_in([alarm], later)) == over
    assert over_in([replace(alarm, state=AlarmState.RESOLVED)], later) == []
