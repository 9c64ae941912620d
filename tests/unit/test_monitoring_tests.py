"""The parts of the drift look: exact where they say so, and as rarely wrong as they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from everfit.monitoring import drift as drifts
from everfit.monitoring import rules, seasonal
from everfit.monitoring.breaks import RANGE, UNSEEN, out_of_range, unseen
from everfit.monitoring.columns import Floats, numbers, present
from everfit.monitoring.distances import of_levels, of_numbers
from everfit.monitoring.drift import Floors, column_tests, drift, judged, worst
from everfit.monitoring.exact import ks_distance
from everfit.monitoring.joint import joint_drift
from everfit.monitoring.merge import merge, merge_columns
from everfit.monitoring.profile import column, profile
from everfit.monitoring.ranking import ranked
from everfit.monitoring.two_sample import Outcome, position, reference
from everfit.project.sections.monitoring import Drift
from everfit.records.table import Kind, Task

AT = datetime(2026, 1, 5, tzinfo=UTC)
Numbers = st.lists(st.integers(-20, 20).map(float), min_size=3, max_size=60)


@given(Numbers, Numbers)
def test_the_distance_is_that_of_every_value(one: list[float], other: list[float]) -> None:
    then, now = np.sort(one), np.sort(other)
    assert ks_distance(then, now) == pytest.approx(stats.ks_2samp(then, now, method="asymp").statistic, abs=1e-12)


@pytest.mark.parametrize("shape", ["normal", "lognormal", "integers", "shifted", "apart"])
def test_the_distance_of_large_samples_is_exact(shape: str) -> None:
    random = np.random.default_rng(7)
    then, now = np.sort(random.normal(size=70_001)), np.sort(random.normal(size=50_000))
    then, now = {
        "normal": (then, now),
        "lognormal": (np.exp(then), np.exp(now)),
        "integers": (np.round(then * 3), np.round(now * 3)),
        "shifted": (then, now + 0.3),
        "apart": (then, now + 100),
    }[shape]
    assert ks_distance(then, now) == pytest.approx(stats.ks_2samp(then, now, method="asymp").statistic, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6_000), st.integers(1, 6_000), st.booleans())
def test_a_merged_profile_bounds_the_distribution_of_all_rows(seed: int, n: int, m: int, ties: bool) -> None:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=n), random.normal(0.5, 2, size=m)
    if ties:
        a, b = np.round(a), np.round(b)
    merged = merge_columns(column("x", a, Kind.NUMERIC, 50), column("x", b, Kind.NUMERIC, 80))
    both = np.sort(np.concatenate([a, b]))
    ref = reference(merged.sample, merged.rows, merged.slack)
    to = np.searchsorted(both, ref.values, side="right") / len(both)
    below = np.searchsorted(both, ref.values, side="left") / len(both)
    assert (ref.fewest_to <= to + 1e-9).all()
    assert (ref.most_below >= below - 1e-9).all()
    assert merged.mean == pytest.approx(both.mean(), abs=1e-9)
    assert merged.std == pytest.approx(both.std(), abs=1e-9)


def test_profiles_merge_levels_missing_values_and_columns() -> None:
    kinds = {"x": Kind.NUMERIC, "c": Kind.CATEGORICAL}
    sides = [
        profile({"x": np.array([v, np.nan]), "c": np.array(levels, dtype=object)}, kinds, np.array([v]), "f1", 0.5, 1)
        for v, levels in ((1.0, ["a", "b"]), (2.0, ["a", None]))
    ]
    found = {c.name: c for c in merge(*sides).columns}
    assert (found["x"].sample, found["x"].rows, found["x"].nulls) == ((1.0, 2.0), 4, 2)
    assert (found["c"].counts, found["c"].nulls) == ({"a": 2, "b": 1}, 1)


def test_a_series_is_read_as_the_array_is() -> None:
    for values in (pl.Series([1.0, None, 3.0]), pl.Series([True, None]), pl.Series([datetime(1970, 1, 2), None])):  # noqa: DTZ001
        kind = Kind.DATE if values.dtype == pl.Datetime else Kind.NUMERIC
        assert np.isnan(numbers(values, kind)).sum() == 1
    for dtype in (pl.String, pl.Categorical):
        found = present(pl.Series(["b", None, "a", "b"], dtype=dtype), Kind.CATEGORICAL)
        assert (found.levels, found.nulls) == ({"b": 2, "a": 1}, 1)


def test_values_beyond_the_range_are_found_at_half_a_percent() -> None:
    random = np.random.default_rng(1)
    now = np.concatenate([random.random(4_975), np.full(25, -5.0)])
    found = out_of_range(0.0, 1.0, 10_000, np.sort(now))
    assert (found.test, found.effect) == (RANGE, 0.005)
    assert found.p_value < 1e-6


@pytest.mark.parametrize("n", [300, 3_000])
def test_a_range_is_called_broken_as_rarely_as_the_p_value_says(n: int) -> None:
    random = np.random.default_rng(2)
    p_values = []
    for _ in range(400):
        then, now = random.normal(size=n), np.sort(random.normal(size=n))
        p_values.append(out_of_range(then.min(), then.max(), n, now).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.08


def test_a_long_tail_of_rare_levels_is_no_finding_and_a_new_frequent_one_is() -> None:
    random = np.random.default_rng(3)
    weights = 1 / np.arange(1, 3_001)
    draws = [random.choice(3_000, 2_000, p=weights / weights.sum()) for _ in range(2)]
    then, now = ({str(k): int(v) for k, v in zip(*np.unique(d, return_counts=True), strict=True)} for d in draws)
    assert unseen(then, now).effect > 0.02
    assert unseen(then, now).p_value > 0.05
    assert unseen(then, now | {"new": 40}).p_value < 0.01
    assert unseen(then, now).test == UNSEEN


def test_the_distances_see_what_hides_from_bins() -> None:
    random = np.random.default_rng(4)
    then = random.normal(65, 30, 5_000)
    spoiled = np.sort(np.where(random.random(5_000) < 0.5, 1000.0, random.normal(65, 30, 5_000)))
    ref = reference(column("x", then, Kind.NUMERIC).sample, 5_000)
    far = of_numbers(ref, position(ref, spoiled), spoiled)
    assert (far.psi or 0) > 1
    assert far.jensen_shannon is not None
    assert far.jensen_shannon > 0.4
    assert far.wasserstein == pytest.approx(stats.wasserstein_distance(then, spoiled), rel=0.02)
    assert (of_levels({"a": 9, "b": 1}, {"a": 1, "b": 9}).psi or 0) > 1


def test_the_usual_rules_say_how_often_they_are_wrong() -> None:
    random = np.random.default_rng(5)
    names = [f"c{i}" for i in range(20)]
    known = profile(
        {n: random.normal(size=1_000) for n in names}, dict.fromkeys(names, Kind.NUMERIC), np.zeros(1), "f1", 0, 1
    )
    often = rules.measured(Drift(rule="ks"), known, 1_000)
    assert 0.4 < often < 0.85
    assert rules.measured(Drift(rule="psi"), known, 1_000) == 0
    now = {n: random.normal(size=1_000) + (n == "c3") for n in names}
    for rule in ("ks", "psi", "jensen_shannon"):
        found = rules.by_rule(Drift(rule=rule), column_tests(known, now))
        assert "c3" in {one.column for one in found if one.drifted}
        assert {one.test for one in found} == {"kolmogorov_smirnov"}


def test_two_columns_that_stop_going_together_are_found_though_none_moved() -> None:
    random = np.random.default_rng(6)

    def rows(n: int, together: float) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
        x = random.normal(size=n)
        return {
            "x": x,
            "y": together * x + np.sqrt(1 - together**2) * random.normal(size=n),
            "z": random.normal(size=n),
        }

    then, apart = rows(4_000, 0.7), rows(4_000, 0.0)
    found = joint_drift(then, apart, 0.001, 0.02)
    assert found is not None
    assert found.drifted
    known = profile(then, dict.fromkeys(then, Kind.NUMERIC), np.zeros(1), "f1", 0, 1)
    assert not drift(known, apart, None, 0.001, 0.02, AT, AT).is_drift
    false = [joint_drift(rows(400, 0.7), rows(400, 0.7), 0.05, 0.0, seed) for seed in range(60)]
    assert sum(one.drifted for one in false if one) <= 8


def test_the_column_that_moved_the_score_stands_first_and_its_price_is_right() -> None:
    random = np.random.default_rng(8)

    def rows(shift: float, idle: float) -> tuple[dict[str, Floats], Floats]:
        used, unused = random.normal(size=8_000) + shift, random.normal(size=8_000) + idle
        return {"unused": unused, "used": used}, 1 / (1 + np.exp(-2 * used))

    then, before = rows(0.0, 0.0)
    now, score = rows(0.5, 1.5)
    known = profile(then, dict.fromkeys(then, Kind.NUMERIC), before, "roc_auc", 0.8, 1)
    report = drift(known, now, score, 0.001, 0.02, AT, AT)
    told = ranked(report.columns, known, now, score, Task.BINARY)
    first = told[0]
    assert first.column == "used"
    assert first.influence == pytest.approx((score.mean() - before.mean()) / before.std(), rel=0.15)
    idle = next(one for one in told if one.column == "unused" and one.drifted)
    assert (idle.influence or 0) < 0.1


def days(count: int, seed: int, shift_last: float = 0.0) -> list[seasonal.Phased]:
    """Weekdays differ, and every day has an effect of its own."""
    random = np.random.default_rng(seed)
    made = []
    for day in range(count):
        own = random.normal(0, 0.1) + 0.8 * ((AT + timedelta(days=day)).weekday() >= 5)
        values = random.normal(size=800) + own + (shift_last if day == count - 1 else 0.0)
        made.append(seasonal.Phased(AT + timedelta(days=day), {"x": pl.Series("x", values)}))
    return made


def _seasonal_alarm(every: list[seasonal.Phased]) -> bool:
    held = seasonal.of_columns((column("x", np.zeros(1), Kind.NUMERIC),))
    floors = seasonal.learned(every[:-1], held, "weekday", 0.02)
    found = seasonal.against_peers(every[-1], every, held, "weekday")
    assert floors is not None
    assert found is not None
    return any(one.drifted for one in judged(found, 0.02, Floors(0.02, 0.005, floors)))


def test_a_day_like_its_weekday_is_no_drift_and_one_unlike_it_is() -> None:
    assert sum(_seasonal_alarm(days(35, seed)) for seed in range(25)) <= 2
    assert sum(_seasonal_alarm(days(35, seed, shift_last=1.0)) for seed in range(25)) >= 23


def _pairs_of(count: int, seed: int, rows: int = 400) -> list[seasonal.Phased]:
    """Each day has its own place and an own share of a level; the two numbers go together."""
    random = np.random.default_rng(seed)
    made = []
    for day in range(count):
        x = random.normal(size=rows)
        y, plan = 0.6 * x + random.normal(size=rows), random.random(rows) < random.uniform(0.3, 0.5)
        columns = {"x": pl.Series(x + random.normal(0, 0.3)), "y": pl.Series(y + random.normal(0, 0.3))}
        made.append(seasonal.Phased(AT + timedelta(days=day), columns | {"plan": pl.Series(plan).cast(pl.String)}))
    return made


def _together(every: list[seasonal.Phased]) -> bool:
    held = seasonal.of_all(every)
    floors = seasonal.learned(every[:-1], held, "weekday", 0.02)
    found = seasonal.against_peers(every[-1], every, held, "weekday")
    assert floors is not None
    assert found is not None
    told = worst(found, 0.02, Floors(0.02, 0.005, floors))
    assert told is not None
    return told.drifted


def test_days_of_their_own_are_no_drift_of_all_columns_and_ones_that_part_are() -> None:
    every = [_pairs_of(35, seed) for seed in range(20)]
    assert sum(map(_together, every)) <= 2
    for days_ in every:
        last = dict(days_[-1].columns)
        days_[-1] = seasonal.Phased(days_[-1].start, last | {"y": last["y"].sample(fraction=1, shuffle=True, seed=1)})
    assert sum(map(_together, every)) >= 18


def test_several_windows_share_the_rate_of_their_look() -> None:
    def tested(p_value: float, effect: float) -> drifts.Tested:
        return drifts.Tested("score", Outcome("kolmogorov_smirnov", effect, p_value, effect))

    floors = Floors(0.02, 0.005, {("score", "kolmogorov_smirnov"): 0.1})
    assert worst([], 0.02, floors) is None
    alone, shared = (
        worst([tested(0.015, 0.2)], 0.02, floors),
        worst([tested(0.015, 0.2), tested(0.9, 0.3)], 0.02, floors),
    )
    assert alone is not None
    assert shared is not None
    assert (alone.drifted, shared.drifted, alone.floor) == (True, False, 0.1)
    below = worst([tested(1e-9, 0.09)], 0.02, floors)
    assert below is not None
    assert not below.drifted


def test_a_season_needs_a_past() -> None:
    held = seasonal.of_columns((column("x", np.zeros(1), Kind.NUMERIC),))
    few = days(9, 1)
    assert seasonal.learned(few, held, "weekday", 0.02) is None
    assert seasonal.against_peers(few[-1], few, held, "weekday") is None


def test_windows_are_whole_days_and_one_that_is_not_over_waits() -> None:
    times = [AT + timedelta(hours=9 * i) for i in range(6)]
    table = pl.DataFrame({"x": [float(i) for i in range(6)], "t": times})
    found = seasonal.windows(table, "t", "weekday", AT + timedelta(days=1, hours=12))
    assert [(one.start, one.rows) for one in found] == [(AT, 3)]
    assert [one.rows for one in seasonal.windows(table, "t", "hour", AT + timedelta(days=3))] == [1] * 6
