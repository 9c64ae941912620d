"""Times as cron writes them, in a time zone, also where clocks are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everfit.monitoring.budget import alpha_per_look
from everfit.project.calendar import in_words, parse_cron, parse_zone, passed, slots
from everfit.project.quantities import parse_rate
from everfit.project.sections.monitoring import Monitoring
from everfit.project.sections.root import Project

BERLIN = "Europe/Berlin"
RULES = st.sampled_from(["*/15 * * * *", "0 3 * * *", "30 2 * * SUN", "5 4 1 * *", "0 */6 * * MON-FRI"])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda one: one.replace(tzinfo=UTC))  # noqa: DTZ001


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "every day", "61 * * * *", "* * * * * *", "@daily", "0 0 30 2 *"])
def test_what_is_no_time_of_cron_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"minute, hour, day, month and weekday"):
        parse_cron(text)


@pytest.mark.parametrize("name", ["Europe/Nowhere", "", "../etc/passwd"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone"):
        parse_zone(name)


def test_what_falls_into_the_missing_hour_comes_right_after_it() -> None:
    found = list(islice(slots("30 2 * * *", BERLIN, at("2026-03-28T12:00")), 2))
    assert found == [at("2026-03-29T01:00"), at("2026-03-30T00:30")]  # 03:00 and 02:30 in Berlin's summer


def test_nothing_at_a_fixed_hour_comes_twice_when_clocks_go_back() -> None:
    found = list(islice(slots("30 2 * * *", BERLIN, at("2026-10-24T12:00")), 2))
    assert found == [at("2026-10-25T00:30"), at("2026-10-26T01:30")]


@settings(deadline=None, max_examples=25)
@given(RULES, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=20)))
def test_looking_back_finds_what_looking_ahead_finds(rule: str, after: datetime, span: timedelta) -> None:
    until = after + span
    ahead = []
    for one in slots(rule, BERLIN, after):
        if one > until:
            break
        ahead.append(one)
    assert passed(rule, BERLIN, after, until, 5000) == ahead
    assert passed(rule, BERLIN, after, until, 2) == ahead[-2:]


def test_a_time_that_is_now_has_come_and_not_twice() -> None:
    noon = at("2026-01-05T12:00")
    assert passed("0 * * * *", "UTC", noon - timedelta(hours=1), noon, 9) == [noon]
    assert passed("0 * * * *", "UTC", noon, noon, 9) == []


@pytest.mark.parametrize(
    ("schedule", "minutes"), [({}, 60), ({"monitoring": "*/15 * * * *"}, 15), ({"monitoring": "0 6,18 * * *"}, 720)]
)
def test_false_alarms_are_shared_by_as_many_looks_as_there_are(schedule: dict[str, str], minutes: int) -> None:
    data = {"source": "t.csv", "target": {"column": "churn"}}
    project = Project.model_validate({"project": "churn", "data": data, "schedule": schedule})
    assert project.looking.every == timedelta(minutes=minutes)
    hourly = alpha_per_look(Monitoring(alarms="1/year"))
    budget = project.looking.model_copy(update={"alarms": parse_rate("1/year")})
    assert alpha_per_look(budget) == pytest.approx(hourly * minutes / 60)


def test_a_time_is_said_in_words() -> None:
    assert in_words("*/15 * * * *") == "Every 15th minute of every hour"
