from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everfit.errors import ReleaseError
from everfit.project.sections.release import Release
from everfit.records.release import Action, EventKind, LedgerEvent, ReleaseState, Verdict
from everfit.rollout.ledger import fold, follow, verify
from everfit.rollout.routing import route, table
from everfit.rollout.strategy import Draft, apply, promote, roll_back, start

NOW = datetime(2026, 3, 1, tzinfo=UTC)
K = EventKind
CANARY = Release(steps=(0.1, 0.5))
IMMEDIATE = Release(strategy="immediate")


def written(events: list[LedgerEvent], drafts: tuple[Draft, ...]) -> list[LedgerEvent]:
    for draft in drafts:
        event = follow(events, draft.kind, draft.version, NOW, "ann", draft.reason, draft.evidence)
        events = [*events, event]
    return events


def registered(*versions: int) -> list[LedgerEvent]:
    return written([], tuple(Draft(K.REGISTERED, version, "") for version in versions))


def one_champion() -> list[LedgerEvent]:
    events = registered(1, 2, 3)
    return written(events, start(fold(events), 1, CANARY))


def verdict(action: Action) -> Verdict:
    return Verdict(action, "because", 0.05, {"challenger_errors": 3})


def test_first_version_ever_takes_all_traffic() -> None:
    (draft,) = start(fold(registered(1)), 1, CANARY)
    assert (draft.kind, draft.reason) == (K.PROMOTED, "first release, no champion to compare with")
    assert fold(one_champion()).champion == 1


def test_immediate_release_promotes_at_once() -> None:
    drafts = start(fold(one_champion()), 2, IMMEDIATE)
    assert [draft.kind for draft in drafts] == [K.RELEASED, K.PROMOTED]
    assert fold(written(one_champion(), drafts)).champion == 2


def test_canary_begins_at_its_first_step() -> None:
    state = fold(written(one_champion(), start(fold(one_champion()), 2, CANARY)))
    assert (state.champion, state.challenger, state.steps, state.step) == (1, 2, (0.1, 0.5), 0)


def test_step_of_all_traffic_is_the_promotion_itself() -> None:
    state = fold(written(one_champion(), start(fold(one_champion()), 2, Release(steps=(0.1, 1.0)))))
    assert state.steps == (0.1,)
    assert [d.kind for d in start(fold(one_champion()), 2, Release(steps=(1.0,)))] == [K.RELEASED, K.PROMOTED]


def test_verdicts_become_events_with_their_figures() -> None:
    events = written(one_champion(), start(fold(one_champion()), 2, CANARY))
    assert apply(fold(events), verdict(Action.INCONCLUSIVE)) == ()
    events = written(events, apply(fold(events), verdict(Action.ADVANCE)))
    assert fold(events).step == 1
    assert events[-1].evidence == {"challenger_errors": 3, "error_rate": 0.05}
    assert fold(written(events, apply(fold(events), verdict(Action.PROMOTE)))).champion == 2
    assert fold(written(events, apply(fold(events), verdict(Action.ROLL_BACK)))).rejected == (2,)
    with pytest.raises(ReleaseError, match="last step"):
        apply(fold(events), verdict(Action.ADVANCE))


def test_verdict_without_a_canary_is_refused() -> None:
    with pytest.raises(ReleaseError, match="no canary"):
        apply(fold(one_champion()), verdict(Action.PROMOTE))


@pytest.mark.parametrize("command", [lambda s, v: start(s, v, CANARY), promote], ids=["start", "promote"])
def test_unfit_versions_are_refused_with_a_way_out(command: Any) -> None:
    canary = written(one_champion(), start(fold(one_champion()), 2, CANARY))
    back = written(canary, roll_back(fold(canary)))
    for events, version, why in (
        (one_champion(), 9, "not registered"),
        (one_champion(), 1, "champion already"),
        (canary, 3, "under way"),
        (back, 2, "was rolled back"),
    ):
        with pytest.raises(ReleaseError, match=why) as told:
            command(fold(events), version)
        assert told.value.fix


def test_force_releases_what_was_rolled_back() -> None:
    canary = written(one_champion(), start(fold(one_champion()), 2, CANARY))
    back = written(canary, roll_back(fold(canary)))
    assert fold(written(back, start(fold(back), 2, CANARY, force=True))).challenger == 2
    assert fold(written(back, promote(fold(back), 2, force=True))).champion == 2


def test_canary_may_be_promoted_by_hand() -> None:
    canary = written(one_champion(), start(fold(one_champion()), 2, CANARY))
    assert fold(written(canary, promote(fold(canary), 2))).champion == 2
    with pytest.raises(ReleaseError, match="under way"):
        start(fold(canary), 2, CANARY)


def test_rollback_needs_somewhere_to_go() -> None:
    for events in (registered(1), one_champion()):
        with pytest.raises(ReleaseError, match="nothing to roll back to"):
            roll_back(fold(events))


commands = st.one_of(
    st.tuples(st.just("register"), st.integers(1, 5), st.booleans()),
    st.tuples(st.sampled_from(["canary", "immediate", "promote"]), st.integers(1, 5), st.booleans()),
    st.tuples(st.just("verdict"), st.sampled_from(list(Action)), st.booleans()),
    st.tuples(st.just("roll_back"), st.integers(0, 0), st.booleans()),
)


def obeyed(state: ReleaseState, name: str, what: Any, force: bool) -> tuple[Draft, ...]:
    """The drafts of one command; none where it is refused."""
    try:
        match name:
            case "register":
                return (Draft(K.REGISTERED, what, ""),)
            case "verdict":
                return apply(state, verdict(what))
            case "promote":
                return promote(state, what, force=force)
            case "roll_back":
                return roll_back(state)
            case _:
                return start(state, what, CANARY if name == "canary" else IMMEDIATE, force=force)
    except ReleaseError:
        return ()


@settings(max_examples=400)
@given(st.lists(commands, max_size=25))
def test_whatever_is_commanded_the_release_stays_sound(sequence: list[tuple[str, Any, bool]]) -> None:
    events: list[LedgerEvent] = []
    for name, what, force in sequence:
        before = fold(events)
        events = written(events, obeyed(before, name, what, force))
        state = fold(events)
        arms = table(state).arms
        assert sum(arm.weight for arm in arms) == pytest.approx(1.0 if arms else 0.0)
        assert [arm.version for arm in arms] == [v for v in (state.champion, state.challenger) if v is not None]
        assert not {arm.version for arm in arms} & set(state.rejected)
        assert not {state.champion, *state.rejected} & set(state.earlier)
        assert state.previous_champion == (state.earlier[-1] if state.earlier else None)
        assert state.number == len(events)
        assert not arms or route(table(state), "anyone").version in {arm.version for arm in arms}
    verify(events)


@given(st.lists(commands, max_size=25))
def test_a_champion_once_there_is_always_one(sequence: list[tuple[str, Any, bool]]) -> None:
    events: list[LedgerEvent] = []
    for name, what, force in sequence:
        before = fold(events).champion
        events = written(events, obeyed(fold(events), name, what, force))
        assert before is None or fold(events).champion is not None
