"""Bets: what they win from the guilty, and how rarely they win from the innocent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everfit.rollout import betting, distributions, quantiles
from everfit.rollout.betting import Bets, contrasts, log_sum, log_wealth, mixed, on_rates, spread

FAILED = np.array([0.0, 1.0])


def error_evidence(champion: tuple[int, int], challenger: tuple[int, int], share: float, margin: float) -> float:
    """From (errors, requests) of both arms."""
    first, second = (np.array([n - x, x]) for x, n in (champion, challenger))
    bets = on_rates(share)
    return mixed([log_wealth(contrasts(FAILED, first, second, share), margin, bets)], bets)


@pytest.mark.parametrize("bets", [spread(), on_rates(0.1), on_rates(0.5)])
def test_the_wealth_behind_all_bets_is_one_and_no_bet_risks_all_of_it(bets: Bets) -> None:
    assert float(bets.shares.sum()) == pytest.approx(1)
    assert (bets.fractions > 0).all()
    assert (bets.fractions < 1).all()


@given(st.floats(0.02, 0.98), st.floats(0, 1), st.floats(0, 0.3), st.floats(0, 1))
def test_no_bet_gains_on_average_where_the_difference_is_the_margin(
    share: float, rate: float, margin: float, centre: float
) -> None:
    high = min(1.0, rate + margin)
    seen = contrasts(FAILED, np.array([0, 0]), np.array([0, 0]), share, centre)
    chances = np.array([(1 - share) * (1 - rate), (1 - share) * rate, share * (1 - high), share * high])
    pay = [
        np.exp(log_wealth(betting.Contrasts(np.array([v]), np.ones(1), seen.least, seen.greatest), margin, spread()))
        for v in seen.values
    ]
    assert (chances @ np.array(pay) <= 1 + 1e-9).all()


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.01, 0.3))
def test_evidence_falls_as_more_is_allowed(first: int, second: int, margin: float) -> None:
    assert error_evidence((first, 500), (second, 500), 0.5, margin) <= (
        error_evidence((first, 500), (second, 500), 0.5, 0.0) + 1e-9
    )


def test_an_outage_of_both_arms_is_no_evidence() -> None:
    assert error_evidence((900, 900), (100, 100), 0.1, 0.0) < 0


def test_a_handful_of_errors_of_the_challenger_alone_is_enough() -> None:
    assert error_evidence((0, 900), (5, 5), 0.1, 0.005) > np.log(40)
    assert error_evidence((0, 900), (1, 1), 0.1, 0.005) < np.log(40)


def crossed(rate: float, share: float, margin: float, runs: int = 400, length: int = 3000) -> float:
    """The share of runs in which the evidence ever passes 20, looked at after every request."""
    random = np.random.default_rng(7)
    second = random.random((runs, length)) < share
    failed = random.random((runs, length)) < np.where(second, rate + margin, rate)
    x1, x2 = (failed & ~second).cumsum(axis=1), (failed & second).cumsum(axis=1)
    bets = on_rates(share)
    values = np.array([-1 / (1 - share), 0.0, 1 / share])
    steps = np.log1p(bets.fractions[:, None] * ((values + 1 / (1 - share)) / (margin + 1 / (1 - share)) - 1))
    passed = np.zeros(runs, dtype=bool)
    for at in range(length):
        counts = np.stack([x1[:, at], at + 1 - x1[:, at] - x2[:, at], x2[:, at]])
        wealth = np.exp(steps @ counts) * bets.shares[:, None]
        passed |= wealth.sum(axis=0) >= 20
    return float(passed.mean())


@pytest.mark.parametrize(("rate", "share", "margin"), [(0.05, 0.5, 0.0), (0.02, 0.1, 0.0), (0.02, 0.5, 0.02)])
def test_the_innocent_are_rarely_blamed_however_often_one_looks(rate: float, share: float, margin: float) -> None:
    # 5% is promised; 400 runs of a true 5% pass 8% in one of 500 cases.
    assert crossed(rate, share, margin) <= 0.08


def test_quantile_evidence_holds_for_either_direction() -> None:
    random = np.random.default_rng(1)
    first = quantiles.classes(np.exp(random.normal(-4, 0.5, 20_000)))
    longer = quantiles.classes(1.5 * np.exp(random.normal(-4, 0.5, 20_000)))
    assert quantiles.slower(first, longer, 1.2, 0.99, 0.0) > np.log(40)
    assert quantiles.not_slower(first, longer, 2.0, 0.99, 0.0) > np.log(40)
    assert quantiles.slower(first, longer, 1.5, 0.99, 0.0) < np.log(20)
    assert quantiles.not_slower(first, longer, 1.5, 0.99, 0.0) < np.log(20)


def test_a_tail_below_the_floor_is_never_too_long() -> None:
    fast, slow = quantiles.classes(np.full(3000, 0.0001)), quantiles.classes(np.full(3000, 0.001))
    assert quantiles.slower(fast, slow, 1.2, 0.99, 0.0) > 10
    assert quantiles.slower(fast, slow, 1.2, 0.99, 0.005) < 0
    assert quantiles.not_slower(fast, slow, 1.2, 0.99, 0.005) > 10


def test_a_quantile_is_found_to_a_hundredth() -> None:
    seconds = np.linspace(0.001, 1, 1000)
    assert quantiles.quantile(quantiles.classes(seconds), 0.99) == pytest.approx(0.99, rel=0.011)


def test_equal_tails_are_rarely_blamed_at_any_look() -> None:
    runs, random = 50, np.random.default_rng(3)
    blamed = 0
    for _ in range(runs):
        first, second = np.exp(random.normal(-4, 0.8, (2, 2000)))
        looks = [
            quantiles.slower(quantiles.classes(first[:n]), quantiles.classes(second[:n]), 1.0, 0.99, 0.0)
            for n in range(200, 2001, 200)
        ]
        blamed += max(looks) >= np.log(20)
    assert blamed <= 6  # of 50; 5% is promised


def test_scores_that_moved_are_apart_and_equal_ones_are_shown_alike() -> None:
    random = np.random.default_rng(2)
    thresholds = np.linspace(0.1, 0.9, 9)
    first, second, other = (distributions.classes(random.beta(a, 3, 4000), thresholds) for a in (2, 2, 3))
    centres = first.cumsum()[:-1] / first.sum()
    assert distributions.apart([(0.5, first, other)], centres, 0.05) > np.log(40)
    assert distributions.apart([(0.5, first, second)], centres, 0.0) < np.log(20)
    assert distributions.alike([(0.5, first, second)], centres, 0.1) > np.log(20)
    assert distributions.alike([(0.5, first, other)], centres, 0.1) < 0
    assert distributions.distance(first, other) > 0.15


def test_a_sum_of_logs_does_not_overflow() -> None:
    assert log_sum(np.array([1000.0, 1000.0])) == pytest.approx(1000 + np.log(2))
    assert log_sum(np.array([-np.inf, -np.inf])) == -np.inf
