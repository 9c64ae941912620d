"""Drift: found where it is, whatever hides it elsewhere, and seldom where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats

from everfit.errors import StepFailed
from everfit.monitoring.drift import MISSING, drift
from everfit.monitoring.profile import column, profile
from everfit.monitoring.two_sample import (
    chi_square,
    kolmogorov_smirnov,
    mann_whitney,
    position,
    proportions,
    reference,
)
from everfit.records.profile import Profile
from everfit.records.table import Kind
from everfit.records.watch import DriftReport

SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
ROWS = 2_000
KINDS = {
    "charges": Kind.NUMERIC,
    "tenure": Kind.NUMERIC,
    "senior": Kind.BOOLEAN,
    "contract": Kind.CATEGORICAL,
    "joined": Kind.DATE,
}
Columns = dict[str, NDArray[Any]]


def table(rows: int, seed: int) -> Columns:
    generator = np.random.default_rng(seed)
    contracts = np.array(["Month-to-month", "One year", "Two year", None], dtype=object)
    return {
        "charges": generator.normal(65, 30, rows),
        "tenure": generator.integers(0, 73, rows).astype(np.float64),
        "senior": (generator.random(rows) < 0.1).astype(np.float64),
        "contract": contracts[generator.choice(4, rows, p=[0.55, 0.21, 0.23, 0.01])],
        "joined": np.datetime64("2020-01-01", "us") + generator.integers(0, 10**14, rows).astype("timedelta64[us]"),
    }


def scores(rows: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).beta(2, 5, rows)


@pytest.fixture(scope="module")
def trained() -> Profile:
    return profile(table(5_000, 1), KINDS, scores(1_000, 1), "roc_auc", 0.8, 1_000)


def look(trained: Profile, now: Mapping[str, NDArray[Any]], score: NDArray[np.float64] | None = None) -> DriftReport:
    return drift(trained, now, score, 0.001, 0.02, SINCE, UNTIL)


def drifted(report: DriftReport) -> set[tuple[str, str]]:
    return {(c.column, c.test) for c in report.columns if c.drifted}


def test_the_same_distribution_is_no_drift(trained: Profile) -> None:
    report = look(trained, table(ROWS, 2), scores(ROWS, 2))
    assert not report.is_drift
    assert report.drift_score == 0
    assert report.score is not None
    assert not report.score.drifted
    assert {c.column for c in report.columns} == set(KINDS)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_column_all_missing_is_drift(trained: Profile, name: str) -> None:
    now = table(ROWS, 2)
    empty: dict[Kind, NDArray[Any]] = {
        Kind.CATEGORICAL: np.full(ROWS, None, dtype=object),
        Kind.DATE: np.full(ROWS, np.datetime64("NaT"), dtype="datetime64[us]"),
    }
    now[name] = empty.get(KINDS[name], np.full(ROWS, np.nan))
    assert drifted(look(trained, now)) == {(name, MISSING)}


def test_half_of_the_values_replaced_by_a_thousand_is_drift(trained: Profile) -> None:
    now = table(ROWS, 2)
    now["charges"][::2] = 1000.0
    report = look(trained, now)
    assert ("charges", "kolmogorov_smirnov") in drifted(report)
    assert max(c.effect for c in report.columns) > 0.4


def test_a_binary_share_from_a_tenth_to_nine_tenths_is_drift(trained: Profile) -> None:
    now = table(ROWS, 2)
    now["senior"] = 1 - now["senior"]
    report = look(trained, now)
    assert drifted(report) == {("senior", "fisher_exact")}
    assert max(c.effect for c in report.columns) == pytest.approx(0.8, abs=0.03)


def test_sixty_more_on_every_charge_and_thirty_months_more_is_drift(trained: Profile) -> None:
    now = table(ROWS, 2)
    now["charges"] += 60
    now["tenure"] += 30
    assert {name for name, _ in drifted(look(trained, now))} == {"charges", "tenure"}


@pytest.mark.parametrize("fresh", [["Fiber"], [f"new{i}" for i in range(600)]])
def test_a_flood_of_levels_never_seen_is_drift(trained: Profile, fresh: list[str]) -> None:
    now = table(ROWS, 2)
    flooded = np.arange(0, ROWS, 3)
    now["contract"][flooded] = np.resize(np.array(fresh, dtype=object), len(flooded))
    report = look(trained, now)
    assert ("contract", "chi_square") in drifted(report)
    assert {name for name, _ in drifted(report)} == {"contract"}
    assert max(c.effect for c in report.columns) == pytest.approx(1 / 3, abs=0.03)


def test_dates_that_went_on_are_drift(trained: Profile) -> None:
    now = table(ROWS, 2)
    now["joined"] += np.timedelta64(500, "D")
    assert {name for name, _ in drifted(look(trained, now))} == {"joined"}


def test_infinite_values_count_as_the_largest_ones(trained: Profile) -> None:
    now = table(ROWS, 2)
    now["charges"][::4] = np.inf
    report = look(trained, now)
    assert {name for name, _ in drifted(report)} == {"charges"}
    assert all(np.isfinite(c.statistic) for c in report.columns)


def test_a_score_that_moved_is_seen_beside_columns_that_did_not(trained: Profile) -> None:
    report = look(trained, table(ROWS, 2), scores(ROWS, 2) + 0.1)
    assert report.score is not None
    assert report.score.drifted
    assert not report.is_drift


def test_a_change_below_the_floor_is_no_drift_however_sure() -> None:
    generator = np.random.default_rng(0)
    known = profile({"x": generator.normal(size=200_000)}, {"x": Kind.NUMERIC}, np.array([0.5]), "roc_auc", 0.8, 1)
    report = look(known, {"x": generator.normal(size=200_000) + 0.04})
    assert min(c.adjusted for c in report.columns) < 1e-6
    assert not report.is_drift


def test_a_column_that_is_gone_is_an_error_that_names_it(trained: Profile) -> None:
    now = table(ROWS, 2)
    del now["tenure"]
    with pytest.raises(StepFailed, match="tenure"):
        look(trained, now)


def test_no_rows_are_no_drift_and_no_tests(trained: Profile) -> None:
    report = look(trained, table(0, 2), scores(0, 2))
    assert (report.rows, report.columns, report.score) == (0, (), None)


def test_false_alarms_of_a_whole_look_stay_within_alpha() -> None:
    alpha, looks = 0.1, 300
    alarmed = 0
    for seed in range(looks):
        known = profile(table(400, 2 * seed), KINDS, scores(10, 0), "roc_auc", 0.8, 10)
        alarmed += drift(known, table(400, 2 * seed + 1), None, alpha, 0.0, SINCE, UNTIL).is_drift
    # At a true rate of alpha, more than this happens in one run of a thousand.
    assert alarmed <= stats.binom.isf(0.001, looks, alpha)


few_values = arrays(np.float64, st.integers(1, 60), elements=st.integers(-5, 5).map(float))


@given(few_values, few_values)
def test_the_distance_is_that_of_all_values_when_the_profile_is_whole(
    then: NDArray[np.float64], now: NDArray[np.float64]
) -> None:
    ref = reference(tuple(np.sort(then).tolist()), len(then))
    found = kolmogorov_smirnov(ref, position(ref, np.sort(now)))
    apart = max(abs(float(np.mean(then <= x) - np.mean(now <= x))) for x in range(-5, 6))
    assert found.statistic == pytest.approx(apart, abs=1e-12)


@given(few_values, few_values)
def test_the_rank_statistic_is_that_of_all_pairs_when_the_profile_is_whole(
    then: NDArray[np.float64], now: NDArray[np.float64]
) -> None:
    ref = reference(tuple(np.sort(then).tolist()), len(then))
    pairs = np.sign(now[:, None] - then[None, :])
    found = mann_whitney(ref, position(ref, np.sort(now)), 0.0)
    assert found.statistic == pytest.approx(0.5 + float(np.mean(pairs)) / 2, abs=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.floats(0, 0.5), st.booleans())
def test_a_grid_gives_no_more_than_the_exact_distance_and_a_step_less(seed: int, shift: float, ties: bool) -> None:
    generator = np.random.default_rng(seed)
    then, now = generator.normal(size=9_000), generator.normal(shift, size=700)
    if ties:
        then, now = np.round(then, 1), np.round(now, 1)
    ref = reference(column("x", then, Kind.NUMERIC).sample, 9_000)
    found = kolmogorov_smirnov(ref, position(ref, np.sort(now)))
    exact = stats.ks_2samp(then, now, method="asymp")
    assert exact.statistic - 1 / 1_999 <= found.statistic <= exact.statistic + 1e-12
    rank = mann_whitney(ref, position(ref, np.sort(now)), 0.0).statistic
    area = float(stats.mannwhitneyu(now, then, method="asymptotic").statistic) / (len(then) * len(now))
    assert abs(rank - 0.5) <= abs(area - 0.5) + 1e-12
    assert rank == pytest.approx(area, abs=1 / 1_999)


def test_chi_square_is_the_smaller_of_the_two_that_scipy_knows() -> None:
    then, now = {"a": 300, "b": 200, "c": 100}, {"a": 100, "b": 90, "c": 60}
    both = [
        stats.chi2_contingency([list(then.values()), list(now.values())], correction=False, lambda_=law)
        for law in ("pearson", "log-likelihood")
    ]
    assert chi_square(then, now).statistic == pytest.approx(min(float(b.statistic) for b in both))
    assert chi_square(then, now).p_value == pytest.approx(max(float(b.pvalue) for b in both))


def test_rare_levels_are_pooled_until_the_approximation_holds() -> None:
    rare = {f"r{i}": 1 for i in range(40)}
    assert chi_square({"a": 960} | rare, {"a": 960} | {f"s{i}": 1 for i in range(40)}).p_value == 1
    assert chi_square({"a": 1}, {"b": 1}).p_value == 1


@given(st.integers(0, 30), st.integers(0, 30))
def test_shares_are_tested_by_fishers_law(had: int, has: int) -> None:
    found = proportions("missing", (had, 30), (has, 30))
    exact = float(stats.fisher_exact(np.array([[had, 30 - had], [has, 30 - has]])).pvalue)
    assert found.p_value == pytest.approx(exact, rel=1e-6)
