"""Each strategy from its first step to its end, and who is answered by whom on the way: counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from tests.unit.rollout_traffic import SCALE, THRESHOLDS, World, traffic

from everfit.errors import ReleaseError
from everfit.project.sections.release import Release
from everfit.records.release import Action, Arm, EventKind, LedgerEvent, ReleaseState, RouteTable, Strategy, Verdict
from everfit.rollout import thompson
from everfit.rollout.burst import is_burst
from everfit.rollout.ledger import fold, follow
from everfit.rollout.routing import route, table
from everfit.rollout.strategy import Draft, apply, plan, start
from everfit.rollout.tally import LOSSES, ArmTally, Step, StepTally, tally
from everfit.rollout.verdict import judge

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEYS = [f"customer-{number}" for number in range(4000)]


class Trial:
    """A release under way, moved by looks."""

    def __init__(self, **settings: Any) -> None:
        self.release = Release.model_validate({"verdict": {"requests": 100, "errors": "10pp"}, **settings})
        self.events: list[LedgerEvent] = []
        self.write(BEGAN, *(Draft(EventKind.REGISTERED, version, "") for version in (1, 2)))
        self.write(BEGAN, *start(self.state, 1, self.release))
        self.write(BEGAN, *start(self.state, 2, self.release))

    def write(self, at: datetime, *drafts: Draft) -> None:
        for draft in drafts:
            self.events.append(follow(self.events, draft.kind, draft.version, at, "a", draft.reason, draft.evidence))

    @property
    def state(self) -> ReleaseState:
        return fold(self.events)

    @property
    def table(self) -> RouteTable:
        return table(self.state)

    def answered(self) -> Counter[int]:
        return Counter(route(self.table, key).version for key in KEYS)

    def look(self, minutes: float, world: World | None = None, requests: int = 4000) -> Verdict:
        """A look with that much traffic in every step so far."""
        state = self.state
        seen = traffic(world or World(errors=0.01), requests, 0.5)
        counts = [
            replace(tally(seen, [Step(0, 3600, share or 0.5)], 1, 2, THRESHOLDS)[0], share=share or 0.5)
            for share in state.steps[: state.step + 1]
        ]
        found = judge(state, self.release, counts, SCALE, BEGAN + minutes * MINUTE)
        self.write(BEGAN + minutes * MINUTE, *apply(state, found))
        return found


def test_immediate_and_a_canary_of_all_traffic_have_no_step() -> None:
    assert plan(Release(strategy=Strategy.IMMEDIATE)) == ()
    assert plan(Release(steps=(1.0,))) == ()
    assert Trial(strategy="immediate").answered() == {2: len(KEYS)}


def test_rolling_moves_equal_parts_as_time_passes() -> None:
    trial = Trial(strategy="rolling", rolling={"batches": 4, "pause": "1m"})
    shares = []
    for minute in range(1, 4):
        shares.append(trial.answered()[2] / len(KEYS))
        assert trial.look(minute - 0.5, requests=0).action is Action.INCONCLUSIVE
        trial.look(minute, requests=0)
    assert shares == pytest.approx([0.25, 0.5, 0.75], abs=0.03)
    assert trial.answered() == {2: len(KEYS)}


def test_rolling_goes_back_when_a_part_is_worse() -> None:
    trial = Trial(strategy="rolling")
    assert trial.look(0.1, World(errors=0.4)).action is Action.ROLL_BACK
    assert trial.answered() == {1: len(KEYS)}


def test_blue_green_is_loaded_first_and_then_answers_all_at_once() -> None:
    trial = Trial(strategy="blue_green", blue_green={"after": "1m"})
    assert trial.table.arms == (Arm("champion", 1, 1.0), Arm("challenger", 2, 0.0))
    assert trial.answered() == {1: len(KEYS)}
    assert trial.look(0.5, requests=0).action is Action.INCONCLUSIVE
    assert trial.look(1, requests=0).action is Action.PROMOTE
    assert trial.answered() == {2: len(KEYS)}
    assert trial.state.previous_champion == 1


def test_a_shadow_answers_nobody_and_goes_on_as_a_canary() -> None:
    trial = Trial(strategy="shadow", steps=["10%"])
    assert trial.table.arms[1] == Arm("shadow", 2, 0.0, mirrored=True)
    assert trial.answered() == {1: len(KEYS)}
    assert trial.look(1).action is Action.ADVANCE
    assert trial.table.arms[1] == Arm("challenger", 2, 0.1)
    assert trial.look(2).action is Action.PROMOTE


def test_a_shadow_alone_is_promoted_with_the_proof() -> None:
    trial = Trial(strategy="shadow", shadow={"then": "promote"})
    assert trial.look(1, requests=150).action is Action.INCONCLUSIVE
    assert trial.look(2).action is Action.PROMOTE


def test_an_ab_test_has_its_names_and_shares_and_waits_for_its_horizon() -> None:
    trial = Trial(strategy="ab", ab={"arms": {"old": "30%", "new": "70%"}, "horizon": "1h"})
    assert [(arm.name, arm.version, round(arm.weight, 6)) for arm in trial.table.arms] == [
        ("old", 1, 0.3),
        ("new", 2, 0.7),
    ]
    assert trial.answered()[2] / len(KEYS) == pytest.approx(0.7, abs=0.03)
    assert trial.look(59).action is Action.INCONCLUSIVE
    assert trial.look(60).action is Action.PROMOTE


def test_an_ab_test_without_a_horizon_ends_as_soon_as_it_is_clear() -> None:
    assert Trial(strategy="ab").look(1).action is Action.PROMOTE
    assert Trial(strategy="ab", ab={"horizon": "1h"}).look(1, World(errors=0.4)).action is Action.ROLL_BACK
    late = Trial(strategy="ab", ab={"horizon": "1h"})
    assert late.look(60, requests=150).action is Action.ROLL_BACK


@pytest.mark.parametrize(
    "arms",
    [{"a": 0.5}, {"a": 0.5, "b": 0.6}, {"a": 1.0, "b": 0.0}, {"a": 0.5, "b,c": 0.5}, {str(n): 0.05 for n in range(20)}],
    ids=["one", "too much", "an empty one", "a comma", "too many"],
)
def test_the_arms_of_an_ab_test_share_all_traffic(arms: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="arm"):
        Release.model_validate({"strategy": "ab", "ab": {"arms": arms}})


def arm(losses: float, requests: int) -> ArmTally:
    """An arm whose every labelled prediction lost so much."""
    counts = np.zeros((1, LOSSES), dtype=np.int64)
    counts[0, round(losses * (LOSSES - 1))] = requests
    none = np.zeros(1, dtype=np.int64)
    return ArmTally(requests, 0, 0, none, none, counts)


def test_the_share_of_thompson_sampling_follows_the_labels_between_floor_and_exploration() -> None:
    def share(champion: ArmTally, challenger: ArmTally) -> float:
        return thompson.share([StepTally(0.5, champion, challenger)], 0.2, 0.05)[1]

    assert share(arm(0.3, 0), arm(0.3, 0)) == pytest.approx(0.5)
    assert share(arm(0.3, 50), arm(0.25, 50)) == pytest.approx(0.71, abs=0.02)
    assert share(arm(0.3, 5000), arm(0.2, 5000)) == 0.8
    assert share(arm(0.2, 5000), arm(0.3, 5000)) == 0.05


def test_thompson_sampling_sets_its_share_at_its_pace_and_ends_with_the_proof() -> None:
    settings: dict[str, Any] = {"errors": "10pp", "log_loss": 0.02, "requests": 10, "deadline": "30d"}
    trial = Trial(strategy="thompson", verdict=settings, thompson={"start": "20%", "every": "1h"})
    assert trial.answered()[2] / len(KEYS) == pytest.approx(0.2, abs=0.03)
    assert trial.look(30, requests=300).action is Action.INCONCLUSIVE
    found = trial.look(60, World(loss=-0.1), requests=300)
    assert found.action is Action.ADVANCE
    share = float(found.evidence["next_share"] or 0)
    assert trial.state.steps == (0.2, share)
    assert trial.answered()[2] / len(KEYS) == pytest.approx(share, abs=0.03)
    assert trial.answered()[1] >= 0.17 * len(KEYS)
    assert trial.look(61, World(loss=-0.1), requests=20_000).action is Action.PROMOTE


def test_thompson_sampling_needs_labels_to_learn_from() -> None:
    with pytest.raises(ValueError, match="needs a criterion on labels"):
        Release(strategy=Strategy.THOMPSON)


def test_a_key_that_moved_to_a_rising_challenger_stays_with_it() -> None:
    trial = Trial(strategy="rolling", rolling={"batches": 10, "pause": "1m"})
    before: set[str] = set()
    for minute in range(1, 9):
        now = {key for key in KEYS if route(trial.table, key).version == 2}
        assert before <= now
        before = now
        trial.look(minute, requests=0)


def test_strategies_that_the_ledger_does_not_know_are_no_part_of_it() -> None:
    trial = Trial()
    for evidence, why in (({"strategy": "magic", "steps": "0.1"}, "magic"), ({"steps": "0.1", "arms": "one"}, "arms")):
        events = follow(trial.events[:3], EventKind.RELEASED, 2, BEGAN, "a", "", evidence)
        with pytest.raises(ReleaseError, match=why):
            fold([*trial.events[:3], events])


def test_a_burst_is_a_share_of_failures_that_chance_does_not_explain() -> None:
    assert not is_burst(0, 0, 0.2, 0.05)
    assert not is_burst(20, 100, 0.2, 0.05)
    assert is_burst(60, 100, 0.2, 0.05)
    assert not is_burst(1, 1, 0.2, 0.05)


def test_a_burst_goes_back_though_errors_are_no_criterion() -> None:
    trial = Trial(verdict={"errors": None, "latency_p99": "20%", "requests": 100})
    found = trial.look(1, World(errors=0.9), requests=400)
    assert (found.action, "burst of errors" in found.reason) == (Action.ROLL_BACK, True)
