"""The decision to retrain: what asks for it, what forbids it, and that every reason is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from everfit.project.sections.monitoring import Cost, Drift, Retraining
from everfit.records.profile import LossKind
from everfit.records.watch import (
    ColumnDrift,
    Decision,
    DriftReport,
    ImpactEstimate,
    LossReport,
    PerformanceReport,
    Trigger,
)
from everfit.retraining.policy import Change, Known, by_the_clock
from everfit.retraining.policy import decide as decide_all

NOW = datetime(2026, 1, 31, tzinfo=UTC)
ALL = Retraining(on=("performance", "drift", "schedule"))
FALLEN = PerformanceReport("roc_auc", 0.7, 0.66, 0.74, 0.84, 812, 1.0, True, 0.001)
HOLDS = PerformanceReport("roc_auc", 0.83, 0.8, 0.86, 0.84, 812, 1.0, False, 0.001)
MOVED = ColumnDrift("age", "kolmogorov_smirnov", 0.3, 1e-9, 1e-8, 0.3, True)
DRIFTED = DriftReport(2_000, NOW, NOW, (MOVED,), None, 0.001, 0.02)
STILL = replace(DRIFTED, columns=(replace(MOVED, drifted=False),))
COSTLY = ImpactEstimate("accuracy", 0.85, 0.82, 0.03)
FREE = ImpactEstimate("accuracy", 0.85, 0.849, 0.001)

KNOWN = Known(champion_since=NOW - timedelta(days=3))


def decide(settings: Retraining = ALL, forced: bool = False, **known: Any) -> Decision:
    return decide_all(settings, Drift(), NOW, replace(KNOWN, **known), forced)


def why(decision: Decision) -> str:
    return " | ".join(decision.reasons)


def test_without_a_champion_nothing_is_retrained_even_by_hand() -> None:
    decision = decide(champion_since=None, performance=FALLEN, forced=True)
    assert (decision.retrain, decision.trigger) == (False, None)
    assert "nothing is released" in why(decision)


def test_fallen_performance_retrains() -> None:
    decision = decide(performance=FALLEN)
    assert (decision.retrain, decision.trigger, decision.at) == (True, Trigger.PERFORMANCE, NOW)
    assert "roc_auc is 0.7 on 812 labels, against 0.84 in the test" in decision.reasons[0]


def test_drift_alone_does_not_retrain() -> None:
    decision = decide(drift=DRIFTED)
    assert not decision.retrain
    assert "age drifted, but nothing says that it costs anything" in why(decision)


def test_drift_that_is_estimated_to_cost_nothing_does_not_retrain() -> None:
    decision = decide(drift=DRIFTED, impact=FREE, performance=HOLDS)
    assert (decision.retrain, decision.trigger) == (False, None)
    assert "0.10 points, below 2.00 points: drift alone is no reason" in why(decision)
    assert "performance holds" in why(decision)


def test_drift_with_an_estimated_loss_retrains() -> None:
    decision = decide(drift=DRIFTED, impact=COSTLY)
    assert (decision.retrain, decision.trigger) == (True, Trigger.DRIFT)
    assert "age drifted and the estimated loss of accuracy is 3.00 points" in decision.reasons[0]


def test_an_estimated_loss_without_drift_does_not_retrain() -> None:
    assert not decide(drift=STILL, impact=COSTLY).retrain


def test_a_drifted_score_counts_as_drift() -> None:
    report = replace(STILL, score=replace(MOVED, column="score"))
    assert decide(drift=report, impact=COSTLY).trigger is Trigger.DRIFT


def test_labels_confirm_drift_where_performance_itself_may_not_trigger() -> None:
    decision = decide(Retraining(on=("drift",)), performance=FALLEN, drift=DRIFTED, impact=FREE)
    assert (decision.retrain, decision.trigger) == (True, Trigger.DRIFT)
    assert "`performance` is not in retraining.on" in why(decision)


@pytest.mark.parametrize(("days", "due"), [(29.9, False), (30, True), (400, True)])
def test_the_schedule_is_the_greatest_age_of_the_champion(days: float, due: bool) -> None:
    decision = decide(champion_since=NOW - timedelta(days=days))
    assert (decision.retrain, decision.trigger) == (due, Trigger.SCHEDULE if due else None)


def test_the_schedule_does_nothing_where_it_is_not_chosen() -> None:
    decision = decide(Retraining(), champion_since=NOW - timedelta(days=400))
    assert not decision.retrain
    assert "`schedule` is not in retraining.on" in why(decision)


@pytest.mark.parametrize(("hours", "retrain"), [(0, False), (23.9, False), (24, True)])
def test_the_cooldown_holds_until_it_is_over(hours: float, retrain: bool) -> None:
    decision = decide(performance=FALLEN, begun=(NOW - timedelta(hours=hours),))
    assert (decision.retrain, decision.trigger) == (retrain, Trigger.PERFORMANCE)
    assert ("cooldown is 1d" in why(decision)) is not retrain


def test_a_retraining_by_hand_ignores_the_cooldown_and_says_so() -> None:
    decision = decide(forced=True, performance=HOLDS, begun=(NOW - timedelta(hours=2),))
    assert (decision.retrain, decision.trigger) == (True, Trigger.MANUAL)
    assert decision.reasons[0].startswith("asked for by hand; this is ignored: the last retraining was 2h ago")


def test_performance_comes_before_drift_and_schedule() -> None:
    decision = decide(performance=FALLEN, drift=DRIFTED, impact=COSTLY, champion_since=NOW - timedelta(days=60))
    assert decision.trigger is Trigger.PERFORMANCE
    assert len(decision.reasons) == 3


def test_what_is_unknown_is_said() -> None:
    decision = decide()
    assert not decision.retrain
    assert "no labels have come yet" in why(decision)
    assert "drift is unknown" in why(decision)
    unjudged = replace(HOLDS, low=None, high=None, labels=12)
    assert "too few labels" in why(decide(performance=unjudged))


def test_nothing_is_begun_while_a_training_is_under_way_not_even_by_hand() -> None:
    for forced in (False, True):
        decision = decide(forced=forced, performance=FALLEN, running=True)
        assert not decision.retrain
        assert "a training is under way" in why(decision)


@pytest.mark.parametrize(("past", "retrain"), [(1, True), (2, False)])
def test_a_budget_that_is_spent_forbids_another_one(past: int, retrain: bool) -> None:
    begun = tuple(NOW - timedelta(days=3 + n) for n in range(past))
    decision = decide(ALL.model_validate({"budget": "2/month"}), performance=FALLEN, begun=begun)
    assert (decision.retrain, "all that the budget allows" in why(decision)) == (retrain, not retrain)
    assert decide(ALL.model_validate({"budget": "2/month"}), forced=True, begun=begun).retrain


@pytest.mark.parametrize(("labels", "due"), [(9_999, False), (10_000, True)])
def test_new_labels_retrain_where_they_are_asked_for(labels: int, due: bool) -> None:
    decision = decide(Retraining(on=("data",)), labels=labels)
    assert (decision.retrain, decision.trigger) == (due, Trigger.DATA if due else None)


@pytest.mark.parametrize(("per_day", "retrain"), [(1.0, False), (10_000.0, True)])
def test_a_model_is_kept_while_that_costs_less_than_another_one(per_day: float, retrain: bool) -> None:
    dear = Retraining(cost=Cost(retraining=200, error=0.001))
    decision = decide(dear, performance=FALLEN, per_day=per_day)
    assert decision.retrain is retrain
    assert ("keeping the model costs about 0.42 in 30d (14 points, 1 pred" in why(decision)) is not retrain
    assert decide(dear, drift=DRIFTED, impact=COSTLY, per_day=per_day).retrain is retrain


@pytest.mark.parametrize(("days", "retrain"), [(10, False), (30, True)])
def test_rows_unlike_the_training_are_waited_for_until_their_labels_are_known(days: int, retrain: bool) -> None:
    since, delay = NOW - timedelta(days=days), timedelta(days=30)
    decision = decide(drift=DRIFTED, impact=COSTLY, drifting_since=since, label_delay=delay)
    assert (decision.retrain, "would learn nothing of them" in why(decision)) == (retrain, not retrain)
    assert decide(performance=FALLEN, drift=DRIFTED, drifting_since=since, label_delay=delay).retrain


FELL = NOW - timedelta(days=40)
RISEN = LossReport(LossKind.BRIER, 0.21, 0.17, 300, 900, 4e4, 2e4, degraded=True, since=FELL, lasting=True)


@pytest.mark.parametrize(("labels", "retrain"), [(3_999, False), (4_000, True)])
def test_much_more_to_learn_of_a_changed_world_asks_for_another_retraining(labels: int, retrain: bool) -> None:
    decision = decide(performance=HOLDS, change=Change(FELL, labels, learned=1_000))
    assert decision.retrain is retrain
    assert f"1,000 labelled rows since performance fell, by now there are {labels:,}" in why(decision)
    assert ("the next one comes with 4,000" in why(decision)) is not retrain


def test_a_changed_world_is_waited_for_until_there_are_rows_of_it_to_learn_from() -> None:
    found = [decide(losses=RISEN, change=Change(FELL, labels)) for labels in (999, 1_000)]
    assert [one.retrain for one in found] == [False, True]
    assert "999 predictions made since have a label: a retraining waits for 1,000" in why(found[0])


def test_rows_from_before_a_fall_are_left_out_where_the_table_is_dated() -> None:
    change = Change(FELL, 2_000)
    assert decide(losses=RISEN, change=change, dated=True).since == FELL
    assert "it learns from rows since 2025-12-22" in why(decide(losses=RISEN, change=change, dated=True))
    kept = [
        decide(losses=RISEN, change=change),
        decide(ALL.model_copy(update={"forget": False}), losses=RISEN, change=change, dated=True),
    ]
    assert [(one.retrain, one.since, one.fell) for one in kept] == [(True, None, FELL)] * 2


def test_what_was_left_out_once_stays_left_out_whatever_asks_for_the_next_one() -> None:
    old = NOW - timedelta(days=60)
    found = decide(champion_since=old, since=FELL, dated=True)
    assert (found.trigger, found.since, found.fell) == (Trigger.SCHEDULE, FELL, None)
    assert decide(forced=True, since=FELL).since == FELL


def test_an_alarm_of_losses_that_may_be_chance_retrains_nothing() -> None:
    decision = decide(losses=replace(RISEN, lasting=False))
    assert not decision.retrain
    assert "performance may have fallen" in why(decision)
    assert "not from one time on beyond chance" in why(decision)


def test_an_estimate_that_may_be_chance_retrains_nothing() -> None:
    decision = decide(drift=DRIFTED, impact=replace(COSTLY, error=0.005))
    assert not decision.retrain
    assert "the estimated loss of accuracy is 3.00 points, but surely only 1.45, below 2.00" in why(decision)
    assert decide(drift=DRIFTED, impact=replace(COSTLY, error=0.003)).retrain


@pytest.mark.parametrize(("accuracy", "retrain"), [(0.845, False), (0.82, True), (None, True)])
def test_labels_that_contradict_an_estimate_go_before_it(accuracy: float | None, retrain: bool) -> None:
    decision = decide(drift=DRIFTED, impact=COSTLY, judged=replace(HOLDS, accuracy=accuracy))
    assert decision.retrain is retrain
    assert ("812 labels of predictions made since it drifted say that it is 0.50" in why(decision)) is not retrain


def test_a_loss_that_has_risen_label_by_label_retrains_before_a_window_is_full() -> None:
    decision = decide(losses=RISEN)
    assert (decision.retrain, decision.trigger) == (True, Trigger.PERFORMANCE)
    assert "the mean loss (Brier's), label by label, is 0.21 on 300 labels, against 0.17 in the test" in why(decision)
    assert "performance has fallen, and has been worse since 2025-12-22" in why(decision)
    assert not decide(losses=replace(RISEN, degraded=False, lasting=False)).retrain


def test_the_price_is_not_asked_where_only_the_loss_is_known_to_have_risen() -> None:
    dear = Retraining(cost=Cost(retraining=1e9, error=0.01))
    assert decide(dear, losses=RISEN).retrain
    assert not decide(dear, losses=RISEN, performance=FALLEN).retrain


def test_a_regressions_estimated_loss_is_a_share_of_its_error() -> None:
    risen = ImpactEstimate("rmse", 10.0, 10.5, 0.05, relative=True)
    assert "the estimated loss of rmse is 5.00% of it, surely 5.00 and at least the 2.00% of it" in why(
        decide(drift=DRIFTED, impact=risen)
    )


@pytest.mark.parametrize(
    ("running", "canary", "released", "against"),
    [
        (False, None, True, None),
        (True, None, True, "a training is under way"),
        (False, 2, True, "version 2 is on trial"),
        (False, None, False, "nothing is released yet"),
    ],
)
def test_a_time_that_was_set_trains_unless_something_is_under_way(
    running: bool, canary: int | None, released: bool, against: str | None
) -> None:
    found = by_the_clock("At 03:00 (UTC)", running, canary, released, datetime(2026, 1, 5, tzinfo=UTC))
    assert found.retrain is (against is None)
    assert (found.trigger, found.reasons[0]) == (Trigger.SCHEDULE, "the schedule asks for it: At 03:00 (UTC)")
    assert against is None or against in found.reasons[1]
