from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from everfit.errors import ReleaseError
from everfit.project.sections.release import Release
from everfit.records.release import Action, ArmEvidence, ReleaseState, Verdict
from everfit.rollout.evidence import Counts, log_e_value, p_value
from everfit.rollout.verdict import judge

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
RELEASE = Release.model_validate({"verdict": {"requests": 100}})


def canary(step: int = 0) -> ReleaseState:
    return ReleaseState(number=4, champion=1, challenger=2, steps=(0.1, 0.5), step=step, step_since=BEGAN)


def look(
    champion: tuple[int, int], challenger: tuple[int, int], step: int = 0, minutes: float = 1, **verdict: Any
) -> Verdict:
    """A look at (errors, requests) of both arms."""
    release = Release(verdict=RELEASE.verdict.model_copy(update=verdict))
    arms = [ArmEvidence(v, n, x, 0.02) for v, (x, n) in ((1, champion), (2, challenger))]
    return judge(canary(step), release, arms[0], arms[1], BEGAN + timedelta(minutes=minutes))


def test_healthy_challenger_advances_and_is_promoted_after_the_last_step() -> None:
    assert look((5, 1000), (1, 100)).action is Action.ADVANCE
    assert look((5, 1000), (1, 100), step=1).action is Action.PROMOTE


def test_too_few_requests_wait() -> None:
    assert look((5, 1000), (1, 99)).action is Action.WAIT
    assert look((0, 99), (0, 1000)).action is Action.WAIT


def test_too_few_requests_by_the_deadline_roll_back() -> None:
    late = look((5, 1000), (0, 99), minutes=24 * 60)
    assert (late.action, look((5, 1000), (0, 99), minutes=24 * 60 - 1).action) == (Action.ROLL_BACK, Action.WAIT)
    assert "99 requests" in late.reason


def test_no_champion_traffic_is_no_evidence_of_health() -> None:
    assert look((0, 0), (0, 100_000), minutes=24 * 60).action is Action.ROLL_BACK


def test_enough_requests_are_judged_even_after_the_deadline() -> None:
    assert look((5, 1000), (0, 100), minutes=1e5).action is Action.ADVANCE


def test_clearly_worse_challenger_is_rolled_back_with_its_figures() -> None:
    verdict = look((5, 1000), (5, 100))
    assert verdict.action is Action.ROLL_BACK
    assert "5 of 100" in verdict.reason
    assert verdict.error_rate == pytest.approx(0.05)
    assert float(verdict.evidence["p_value"] or 1) <= float(verdict.evidence["level"] or 0)
    assert all(value is None or isinstance(value, str | int | float) for value in verdict.evidence.values())


def test_burst_of_errors_is_found_long_before_there_are_enough_requests() -> None:
    assert look((5, 1000), (4, 4)).action is Action.ROLL_BACK
    assert look((5, 1000), (1, 1)).action is Action.WAIT


def test_outage_of_both_arms_is_not_the_challengers_fault() -> None:
    assert look((900, 900), (50, 50)).action is Action.WAIT
    assert look((900, 900), (100, 100)).action is Action.ADVANCE


def test_the_margin_is_allowed() -> None:
    assert look((50, 10_000), (100, 10_000), errors=0.005).action is Action.ADVANCE
    assert look((50, 10_000), (100, 10_000), errors=0.0).action is Action.ROLL_BACK


def test_full_confidence_never_blames_errors() -> None:
    assert look((0, 1000), (100, 100), confidence=1.0).action is Action.ADVANCE


def test_evidence_about_other_versions_or_impossible_counts_is_refused() -> None:
    good, other, odd = ArmEvidence(1, 10, 0, None), ArmEvidence(3, 10, 0, None), ArmEvidence(2, 10, 11, None)
    for challenger, why in ((other, "version 3"), (odd, "11 errors in 10")):
        with pytest.raises(ReleaseError, match=why):
            judge(canary(), RELEASE, good, challenger, BEGAN)
    with pytest.raises(ReleaseError, match="no canary"):
        judge(ReleaseState(champion=1), RELEASE, good, other, BEGAN)


def least_p(margin: float, rate: float, n1: int, n2: int, level: float) -> float:
    """The chance that p <= level on the edge of the null, over every outcome."""
    firsts, seconds = range(n1 + 1), range(n2 + 1)
    worse = np.array([[p_value(Counts(a, n1, b, n2), margin, level / 20) <= level for b in seconds] for a in firsts])
    return float(binom.pmf(firsts, n1, rate) @ worse @ binom.pmf(seconds, n2, rate + margin))


@pytest.mark.parametrize(("n1", "n2"), [(30, 10), (12, 25)])
def test_p_value_is_exact_at_small_samples(n1: int, n2: int) -> None:
    chances = [least_p(0.02, rate, n1, n2, 0.05) for rate in (0.0, 0.005, 0.05, 0.2, 0.5, 0.9, 0.98)]
    assert max(chances) <= 0.05
    assert max(chances) > 0.02  # not so by never rejecting


counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=50, deadline=None)
@given(counts, counts, st.sampled_from([0.0, 0.005, 0.1]))
def test_more_challenger_errors_are_never_less_evidence(
    champion: tuple[int, int], challenger: tuple[int, int], margin: float
) -> None:
    (x1, n1), (x2, n2) = champion, challenger
    now = p_value(Counts(x1, n1, x2, n2), margin, 0.001)
    assert 0 <= now <= 1
    if x2 < n2:
        assert p_value(Counts(x1, n1, x2 + 1, n2), margin, 0.001) <= now + 1e-9


def crossing(rates: tuple[float, float], margin: float, level: float, runs: int, length: int) -> float:
    """The share of runs whose e-value ever passes 1 / level, looked at after every request."""
    random = np.random.default_rng(11)
    crossed = 0
    for _ in range(runs):
        errors = (random.random((length, 2)) < rates).cumsum(axis=0)
        # Only an error of the challenger can lift the e-value to a new height that matters.
        looks = np.flatnonzero(np.diff(errors[:, 1], prepend=0))
        seen = [Counts(int(errors[i, 0]), int(i) + 1, int(errors[i, 1]), int(i) + 1) for i in looks]
        values = [log_e_value(counts, margin) for counts in seen]
        crossed += max(values, default=-math.inf) >= -math.log(level)
    return crossed / runs


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.3])
def test_e_value_passes_its_level_rarely_however_often_one_looks(rate: float) -> None:
    assert crossing((rate, rate + 0.02), 0.02, 0.2, 100, 120) <= 0.2


def test_e_value_passes_its_level_soon_when_the_challenger_is_worse() -> None:
    assert crossing((0.02, 0.4), 0.02, 0.01, 50, 100) >= 0.95
