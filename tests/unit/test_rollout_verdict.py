"""What a look ends in: shown worse, shown fine, undecided; and how often it is wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from tests.unit.rollout_traffic import SCALE, THRESHOLDS, World, counted, joined, traffic

from everfit.errors import ReleaseError
from everfit.project.sections.release import Release
from everfit.records.release import Action, Criterion, Finding, ReleaseState, Verdict
from everfit.rollout.picture import Look, svg
from everfit.rollout.tally import Firsts, Observed, Step, StepTally, tally
from everfit.rollout.verdict import judge

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALL: dict[str, Any] = {"errors": "1pp", "latency_p99": "20%", "scores": "5pp", "log_loss": 0.05, "latency_floor": "1ms"}


def verdict(seen: Observed, *shares: float, of: int = 0, after: timedelta = HOUR, **settings: Any) -> Verdict:
    """A look after steps of these shares; `of` is how many steps there are."""
    release = Release.model_validate({"verdict": {"errors": "1pp", **settings}})
    steps = (*shares, *(0.9 + i / 100 for i in range(of - len(shares))))
    state = ReleaseState(4, 1, None, None, 2, steps, len(shares) - 1, BEGAN)
    return judge(state, release, counted(seen, *shares), SCALE, BEGAN + after)


def by_name(found: Verdict) -> dict[str, Finding]:
    return {one.criterion.value: one for one in found.findings}


def test_a_challenger_that_is_as_good_is_promoted_on_every_criterion() -> None:
    found = verdict(traffic(World(), 30_000, 0.5), 0.5, **ALL)
    assert found.action is Action.PROMOTE
    assert [one.criterion for one in found.findings] == [
        Criterion.ERRORS,
        Criterion.LATENCY,
        Criterion.SCORES,
        Criterion.LOG_LOSS,
    ]
    assert all(one.fine and not one.worse and one.high is not None and one.high < one.margin for one in found.findings)


@pytest.mark.parametrize(
    ("world", "by"),
    [
        (World(errors=0.05), "errors"),
        (World(slower=2.0), "latency_p99"),
        (World(shift=0.1), "scores"),
        (World(loss=0.3), "log_loss"),
    ],
)
def test_a_challenger_that_is_worse_by_one_criterion_goes_back_for_it(world: World, by: str) -> None:
    found = verdict(traffic(world, 10_000, 0.5), 0.5, **ALL)
    assert found.action is Action.ROLL_BACK
    assert [name for name, one in by_name(found).items() if one.worse] == [by]
    one = by_name(found)[by]
    assert one.low is not None
    assert one.low > one.margin
    assert found.reason.startswith("worse than allowed: ")


def test_a_step_before_the_last_ends_with_enough_requests_and_nothing_against_it() -> None:
    few = traffic(World(), 2_000, 0.1)
    assert verdict(few, 0.1, of=2, requests=100).action is Action.ADVANCE
    assert verdict(few, 0.1, of=2, requests=500).action is Action.INCONCLUSIVE


def test_the_last_step_needs_the_proof() -> None:
    few = traffic(World(), 600, 0.5)
    found = verdict(few, 0.5, requests=100)
    assert found.action is Action.INCONCLUSIVE
    assert "not decided yet: error rate" in found.reason


def test_at_the_deadline_the_project_says_what_becomes_of_the_undecided() -> None:
    few = traffic(World(), 600, 0.5)
    late: dict[str, Any] = {"after": timedelta(days=1), "requests": 100}
    assert verdict(few, 0.5, **late).action is Action.ROLL_BACK
    assert verdict(few, 0.5, **late, inconclusive="promote").action is Action.PROMOTE


def test_no_evidence_is_no_evidence_of_health() -> None:
    late: dict[str, Any] = {"after": timedelta(days=1), "inconclusive": "promote"}
    nothing = traffic(World(), 0, 0.5)
    assert verdict(nothing, 0.5).action is Action.INCONCLUSIVE
    assert verdict(nothing, 0.5, **late).action is Action.ROLL_BACK
    unlabelled = traffic(World(), 30_000, 0.5, labelled=False)
    waiting = verdict(unlabelled, 0.5, log_loss=0.05)
    assert waiting.action is Action.INCONCLUSIVE
    assert "log loss unknown" in waiting.reason
    assert verdict(unlabelled, 0.5, log_loss=0.05, **late).action is Action.ROLL_BACK


def test_the_margin_is_allowed() -> None:
    seen = traffic(World(errors=0.02), 20_000, 0.5)
    assert verdict(seen, 0.5).action is not Action.ROLL_BACK
    assert verdict(seen, 0.5, errors="0pp").action is Action.ROLL_BACK


def test_the_chance_of_a_wrong_roll_back_is_shared_by_the_criteria() -> None:
    found = verdict(traffic(World(), 1000, 0.5), 0.5, **ALL)
    assert [one.level for one in found.findings] == pytest.approx([0.05 / 4] * 4)
    assert [one.level_fine for one in found.findings] == pytest.approx([0.05] * 4)
    assert found.error_rate == pytest.approx(0.05)


def test_a_fault_under_more_traffic_is_not_outweighed_by_the_good_before_it() -> None:
    seen = joined(traffic(World(), 20_000, 0.1), traffic(World(errors=0.08), 4000, 0.5, seed=2))
    assert verdict(seen, 0.1, 0.5).action is Action.ROLL_BACK


def test_a_bad_hour_of_both_is_not_counted_against_either() -> None:
    bad = traffic(World(errors=0.3), 8000, 0.5, seed=3)
    failed = np.random.default_rng(1).random(8000) < 0.3
    seen = joined(traffic(World(), 8000, 0.1), replace(bad, failed=failed))
    found = by_name(verdict(seen, 0.1, 0.5))["errors"]
    assert not found.worse
    assert found.estimate == pytest.approx(0, abs=0.02)


def test_evidence_of_other_steps_is_refused() -> None:
    with pytest.raises(ReleaseError, match="about 2 steps, and the release is on step 1"):
        judge(ReleaseState(4, 1, None, None, 2, (0.1, 0.5), 0, BEGAN), Release(), two_steps(), SCALE, BEGAN)
    with pytest.raises(ReleaseError, match="no canary"):
        judge(ReleaseState(champion=1), Release(), two_steps(), SCALE, BEGAN)


def two_steps() -> tuple[StepTally, ...]:
    return counted(traffic(World(), 100, 0.5), 0.1, 0.5)


def same(first: object, second: object) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in ((first, second),)
        for name in ("requests", "errors", "failures", "latencies", "scores", "losses")
    )


def test_counts_of_two_looks_add_up_to_those_of_one() -> None:
    seen = traffic(World(), 5000, 0.3)
    whole = tally(seen, [Step(0, 3600, 0.3)], 1, 2, THRESHOLDS)[0]
    first = Firsts.of(seen)
    parts = [tally(seen, [Step(a, a + 1200, 0.3)], 1, 2, THRESHOLDS, first)[0] for a in (0, 1200, 2400)]
    together = parts[0] + parts[1] + parts[2]
    assert same(together.champion, whole.champion)
    assert same(together.challenger, whole.challenger)


def test_a_batch_that_failed_and_a_customer_who_always_fails_are_one_error_each() -> None:
    time = np.array([1.0, 1.0, 1.0, 2.0, 3.0, 4.0])
    seen = Observed(
        time=time,
        version=np.full(6, 2),
        entity=np.array([1, 2, 3, 9, 9, 9]),
        failed=np.ones(6, dtype=bool),
        latency=np.array([0.1, 0.1, 0.1, 0.2, 0.3, 0.4]),
        score=np.full(6, np.nan),
    )
    (step,) = tally(seen, [Step(0, 10, 0.5)], 1, 2, THRESHOLDS)
    assert (step.challenger.requests, step.challenger.errors, step.challenger.failures) == (6, 6, 2)


def test_an_entity_is_scored_once_and_a_batch_is_timed_once() -> None:
    seen = Observed(
        time=np.array([1.0, 1.0, 2.0]),
        version=np.array([1, 1, 1]),
        entity=np.array([7, 8, 7]),
        failed=np.zeros(3, dtype=bool),
        latency=np.array([0.1, 0.1, 0.1]),
        score=np.array([0.2, 0.3, 0.9]),
    )
    (step,) = tally(seen, [Step(0, 10, 0.5)], 1, 2, THRESHOLDS)
    assert (int(step.champion.scores.sum()), int(step.champion.latencies.sum())) == (2, 2)


def aborted(world: World, runs: int, settings: dict[str, Any]) -> float:
    """The share of canaries rolled back at one of six looks."""
    back = 0
    for seed in range(runs):
        seen = traffic(world, 1200, 0.5, seed=seed)
        first = Firsts.of(seen)
        release = Release.model_validate({"verdict": settings})
        state = ReleaseState(4, 1, None, None, 2, (0.5,), 0, BEGAN)
        for until in range(600, 3601, 600):
            counts = tally(seen, [Step(0, until, 0.5)], 1, 2, THRESHOLDS, first)
            if judge(state, release, counts, SCALE, BEGAN).action is Action.ROLL_BACK:
                back += 1
                break
    return back / runs


def test_canaries_without_a_fault_are_rarely_rolled_back_though_no_margin_is_given() -> None:
    # 5% is promised; of 20 runs more than three would be one case of 60.
    nothing_allowed = {"errors": 0, "latency_p99": 0, "log_loss": 0, "latency_floor": "0ms"}
    assert aborted(World(), 20, nothing_allowed) <= 3 / 20


def test_the_picture_has_a_panel_for_each_criterion_and_is_well_formed() -> None:
    looks = [
        Look(BEGAN + HOUR * n / 10, verdict(traffic(World(), 200 * n, 0.5), 0.5, **ALL).findings) for n in range(1, 11)
    ]
    root = ET.fromstring(svg("Version 2 & others", looks, [(BEGAN, 0.5)]))
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == "Version 2 & others"
    assert len(root.findall(f"{space}g/{space}polygon")) == 4
