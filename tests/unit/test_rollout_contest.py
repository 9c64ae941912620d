"""A/B tests of several challengers: exact shares, entities that stay, a shared chance of error, the best one wins."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
from everfit.records.prediction import PredictionRecord
from everfit.records.release import Action, ReleaseState
from everfit.rollout import contest, routing, strategy
from everfit.rollout.approval import Rule
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
    with pytest.raises(ReleaseError, match="only strategy ab takes several"):
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
