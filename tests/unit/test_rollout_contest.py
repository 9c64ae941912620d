"""A/B tests of several challengers: exact shares, entities that stay, a shared chance of error, the best one wins."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.unit.rollout_traffic import SCALE, World, counted, traffic
from tests.unit.serving_models import bundle
from tests.unit.test_flow_gathering import Arriving
from tests.unit.test_flow_release import Labels

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import ReleaseError
from everfit.flow import ledger, promotion, release, verdicts
from everfit.flow.trial import Trial
from everfit.project.sections.release import Release
from everfit.records.model import ModelVersion
from everfit.records.prediction import Label, PredictionRecord
from everfit.records.release import Action, EventKind, ReleaseState
from everfit.rollout import contest, routing, strategy, thompson
from everfit.rollout import ledger as rules
from everfit.rollout.approval import Rule
from everfit.rollout.tally import LOSSES, ArmTally
from everfit.rollout.verdict import judge
from everfit.training.bundle import open_bundle

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANIFEST = open_bundle(bundle())
ARMS = {"old": 0.4, "two": 0.3, "three": 0.2, "four": 0.1}
TEST = Release.model_validate(
    {"strategy": "ab", "ab": {"arms": ARMS}, "verdict": {"errors": "5pp", "requests": 200, "deadline": "2h"}}
)
KEYS = [f"customer-{number}" for number in range(20_000)]


@pytest.fixture
def state(tmp_path: Path) -> SqliteState:
    """Version 1 is champion, and 2, 3 and 4 are registered."""
    found = SqliteState(tmp_path / "state.db")
    for number in (1, 2, 3, 4):
        ledger.register(found, ModelVersion("churn", number, f"bundle{number}", "run", NOW, {}), "ann", NOW)
    promotion.promote(found, 1, "ann", Rule(), at=NOW)
    return found


def begun(state: SqliteState) -> ReleaseState:
    return release.start(state, TEST, "ann", 2, at=NOW, others=(3, 4))


def arms(now: ReleaseState) -> dict[str, tuple[str, int]]:
    """Each key's arm and version."""
    table = routing.table(now)
    return {key: (arm.name, arm.version) for key in KEYS for arm in [routing.route(table, key)]}


def test_every_arm_gets_its_share_and_every_entity_keeps_its_arm(state: SqliteState) -> None:
    first = arms(begun(state))
    shares = Counter(first.values())
    expected = {("old", 1): 0.4, ("two", 2): 0.3, ("three", 3): 0.2, ("four", 4): 0.1}
    assert {arm: count / len(KEYS) for arm, count in shares.items()} == pytest.approx(expected, abs=0.012)
    assert arms(ledger.current(state)) == first


@pytest.mark.parametrize("stopped", [2, 3])
def test_a_challenger_that_is_stopped_moves_nobody_of_the_others(state: SqliteState, stopped: int) -> None:
    before = arms(begun(state))
    ledger.commit(state, lambda seen: strategy.apply(
        contest.alone(seen, next(one for one in seen.variants if one.version == stopped)),
        replace(VERDICT, version=stopped)), "ann", NOW)  # fmt: skip
    now = ledger.current(state)
    assert (now.challenger, stopped in now.rejected, stopped in now.in_use) == (3 if stopped == 2 else 2, True, False)
    after = arms(now)
    for key, (name, version) in before.items():
        assert after[key] == (name, 1 if version == stopped else version)


VERDICT = judge(
    ReleaseState(4, 1, None, None, 2, (0.5,), 0, NOW, (NOW,)),
    Release.model_validate({"verdict": {"errors": "0.5pp"}}),
    counted(traffic(World(errors=0.3), 4000, 0.5), 0.5),
    SCALE,
    NOW,
)


def test_the_chance_of_error_is_shared_by_the_challengers() -> None:
    now = ReleaseState(4, 1, None, None, 2, (0.5,), 0, NOW, (NOW,))
    settings = Release.model_validate({"verdict": {"errors": "0.5pp", "scores": "5pp"}})
    counts = counted(traffic(World(), 400, 0.5), 0.5)
    found = judge(now, settings, counts, SCALE, NOW, challengers=4)
    assert [one.level for one in found.findings] == pytest.approx([0.05 / 8] * 2)
    assert [one.level_fine for one in found.findings] == pytest.approx([0.05 / 4] * 2)


def test_a_test_needs_a_version_for_each_arm(state: SqliteState) -> None:
    with pytest.raises(ReleaseError, match="4 arms needs 3 versions beside the champion, and there are 2: 2, 3"):
        release.start(state, TEST, "ann", 2, others=(3,))
    with pytest.raises(ReleaseError, match="only the strategies ab and thompson take several"):
        release.start(state, Release(), "ann", 2, others=(3,))
    with pytest.raises(ReleaseError, match="version 9 is not registered"):
        release.start(state, TEST, "ann", 2, others=(3, 9))


def test_without_names_the_newest_that_may_be_released_are_tested(state: SqliteState) -> None:
    now = release.start(state, TEST, "ann", at=NOW)
    assert [(one.name, one.version) for one in now.variants] == [("two", 4), ("three", 3), ("four", 2)]


def test_every_challenger_needs_its_approvals(state: SqliteState) -> None:
    rule = Rule(1, ("bob",))
    for version in (2, 3):
        promotion.approve(state, version, "bob", rule, TEST)
    with pytest.raises(ReleaseError, match="version 4 waits for 1 approval"):
        release.start(state, TEST, "ann", 2, rule=rule, others=(3, 4))
    promotion.approve(state, 4, "bob", rule, TEST)
    assert len(release.start(state, TEST, "ann", 2, rule=rule, others=(3, 4)).variants) == 3


def test_a_rollback_by_hand_ends_the_whole_test(state: SqliteState) -> None:
    begun(state)
    now = release.roll_back(state, "ann", "complaints", NOW)
    assert (now.champion, now.challenger, now.variants, now.rejected) == (1, None, (), (2, 3, 4))
    again = release.start(state, TEST, "ann", 4, force=True, at=NOW, others=(3, 2))
    assert (again.rejected, again.challenger) == ((), 4)


def test_any_challenger_may_be_promoted_by_hand(state: SqliteState) -> None:
    begun(state)
    now = promotion.promote(state, 3, "ann", Rule(), at=NOW)
    assert (now.champion, now.challenger, now.variants, now.previous_champion) == (3, None, (), 1)


def answered(now: ReleaseState, errors: dict[int, float], minutes: int) -> list[PredictionRecord]:
    """What every customer's arm answered in a minute, each failing so often."""
    return [
        PredictionRecord(
            f"{minutes}-{place}", NOW + timedelta(minutes=minutes, milliseconds=place), key, {}, {}, name, version,
            0.5, "Yes", 0.01 + place / 1e7, "failed" if (place * 7919 % 1000) / 1000 < errors[version] else None,
        )
        for place, (key, (name, version)) in enumerate(list(arms(now).items())[:8000])
    ]  # fmt: skip


def test_the_worse_one_is_stopped_and_the_best_of_the_others_becomes_champion(
    state: SqliteState, tmp_path: Path
) -> None:
    log, errors = Arriving(), {1: 0.02, 2: 0.3, 3: 0.02, 4: 0.0}
    trial = Trial(log, Labels(), TEST, MANIFEST, timedelta(0))
    now, actions = begun(state), list[tuple[Action, int | None]]()
    for minutes in range(1, 20):
        log.records += answered(now, errors, minutes)
        log.now = NOW + timedelta(minutes=minutes + 1)
        found, now = release.look(state, trial, "ann", log.now, tmp_path / "pictures")
        assert found is not None
        actions += [(found.action, found.version)] if found.action is not Action.INCONCLUSIVE else []
        if now.champion != 1:
            break
    assert actions == [(Action.ROLL_BACK, 2), (Action.PROMOTE, 4)]
    assert (now.champion, now.variants, now.rejected) == (4, (), (2,))
    kept = verdicts.history(state)
    assert [(one.action, one.version) for one in kept] == actions
    assert all(Path(one.picture).is_file() for one in kept)


def test_answers_of_a_stopped_arm_are_nobodys_evidence(state: SqliteState) -> None:
    begun(state)
    ledger.commit(state, lambda seen: strategy.apply(
        contest.alone(seen, seen.variants[0]), replace(VERDICT, version=2)), "ann", NOW)  # fmt: skip
    now = ledger.current(state)
    log = Arriving(answered(now, {1: 0.0, 3: 0.0, 4: 0.0}, 1), now=NOW + timedelta(minutes=5))
    trial = Trial(log, Labels(), TEST, MANIFEST, timedelta(0))
    found, _ = release.look(state, trial, "ann", log.now)
    assert found is not None
    control = sum(name == "old" for name, _ in list(arms(now).values())[:8000])
    assert {one.champion for one in found.findings} == {control}


SAMPLED = Release.model_validate(
    {
        "strategy": "thompson",
        "thompson": {"challengers": 3, "start": "20%", "floor": "20%", "explore": "5%", "every": "1h"},
        "verdict": {"errors": None, "accuracy": "2pp", "requests": 50, "deadline": "30d"},
    }
)


def test_the_chance_to_be_the_best_is_that_of_drawing_from_the_posteriors() -> None:
    posteriors = [(0.70, 0.0004), (0.72, 0.0001), (0.69, 0.01), (0.5, 1e-8)]
    means, variances = np.array(posteriors).T
    draws = np.random.default_rng(1).normal(means, np.sqrt(variances), size=(200_000, 4))
    drawn = np.bincount(draws.argmax(axis=1), minlength=4) / len(draws)
    assert thompson.best(posteriors) == pytest.approx(drawn, abs=0.005)


def labelled(wrong: float, count: int) -> ArmTally:
    """An arm with so many labelled predictions, of which a share was wrong."""
    losses = np.zeros((1, LOSSES), dtype=np.int64)
    losses[0, [0, -1]] = round(count * (1 - wrong)), round(count * wrong)
    none = np.zeros(1, dtype=np.int64)
    return ArmTally(count, 0, 0, none, none, losses)


def test_several_challengers_share_by_their_chance_to_be_the_best_between_floor_and_exploration() -> None:
    chances, shares = thompson.shares(
        [labelled(0.30, 400)], [[labelled(0.20, 400)], [labelled(0.21, 400)], [labelled(0.60, 400)]], 0.2, 0.05
    )
    assert chances[0] > chances[1] > 0.1 > chances[2]
    assert shares[0] > shares[1] > shares[2] == 0.05
    assert sum(shares) == pytest.approx(0.8)


def test_shares_set_anew_are_exact_and_what_each_saw_stays_in_its_own_steps(state: SqliteState) -> None:
    first = release.start(state, SAMPLED, "ann", 2, at=NOW, others=(3, 4))
    assert {one.share for one in first.variants} == {0.2}
    reshared = strategy.Draft(EventKind.ADVANCED, 2, "", {"next_shares": "0.5,0.1,0.05"})
    ledger.commit(state, lambda seen: (reshared,), "ann", NOW + timedelta(hours=1))
    now = ledger.current(state)
    counted = Counter(version for _, version in arms(now).values())
    expected = {1: 0.35, 2: 0.5, 3: 0.1, 4: 0.05}
    assert {version: count / len(KEYS) for version, count in counted.items()} == pytest.approx(expected, abs=0.012)
    view = contest.alone(now, now.variants[1])
    assert view.steps == pytest.approx((0.2 / 0.6, 0.1 / 0.45))
    assert (view.step, view.step_times, view.challenger) == (1, (NOW, NOW + timedelta(hours=1)), 3)


@pytest.mark.parametrize("shares", ["0.5,0.5,0.1", "0.1,0.1", "a,b,c", "-0.1,0.1,0.1", ""])
def test_shares_that_cannot_be_do_not_fit_into_the_ledger(state: SqliteState, shares: str) -> None:
    release.start(state, SAMPLED, "ann", 2, at=NOW, others=(3, 4))
    history = ledger.events(state)
    event = rules.follow(history, EventKind.ADVANCED, 2, NOW, "ann", "", {"next_shares": shares})
    with pytest.raises(ReleaseError, match="does not fit: its shares"):
        rules.fold([*history, event])


def test_thompson_sampling_moves_traffic_to_the_best_and_stops_the_worst(state: SqliteState) -> None:
    """Versions 2 and 3 are right as often as the champion or more, version 4 is mostly wrong."""
    wrong = {1: 0.3, 2: 0.27, 3: 0.1, 4: 0.7}
    log, known, now = Arriving(), list[Label](), release.start(state, SAMPLED, "ann", 2, at=NOW, others=(3, 4))
    actions, share = Counter[Action](), {one.version: one.share for one in now.variants}
    for hours in range(1, 9):
        answers = answered(now, dict.fromkeys(wrong, 0.0), 60 * hours - 30)[:3000]
        log.records += answers
        known += [
            Label(record.id, "No" if (place * 7919 % 1000) / 1000 < wrong[record.version] else "Yes", record.time)
            for place, record in enumerate(answers)
        ]
        log.now = NOW + timedelta(hours=hours)
        found, now = release.look(state, Trial(log, Labels(known), SAMPLED, MANIFEST, timedelta(0)), "ann", log.now)
        assert found is not None
        actions[found.action] += 1
        share |= {one.version: one.share for one in now.variants}
        if now.champion != 1:
            break
    assert 4 in now.rejected
    assert actions[Action.ADVANCE] >= 1
    assert share[3] > 0.4
    assert now.champion in (1, 3)


def test_thompson_sampling_leaves_the_champion_its_floor_from_the_start() -> None:
    given = {"challengers": 4, "start": "25%", "floor": "20%"}
    with pytest.raises(ValueError, match=r"more than thompson\.floor leaves"):
        Release.model_validate({"strategy": "thompson", "thompson": given, "verdict": {"accuracy": "2pp"}})
