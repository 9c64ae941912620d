from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everfit.errors import ReleaseError, StorageError
from everfit.records.codec import decode, encode
from everfit.records.release import EventKind, LedgerEvent, ReleaseState
from everfit.records.table import Value
from everfit.rollout.ledger import champion_at, digest, fold, follow, verify

K = EventKind
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Fact = tuple[EventKind, int] | tuple[EventKind, int, dict[str, Value]]
CANARY: dict[str, Value] = {"steps": "0.1,0.5"}
TWO: list[Fact] = [(K.REGISTERED, 1), (K.PROMOTED, 1), (K.REGISTERED, 2)]


def ledger(facts: Sequence[Fact]) -> list[LedgerEvent]:
    """One event an hour from noon."""
    events: list[LedgerEvent] = []
    for hours, (kind, version, *evidence) in enumerate(facts):
        events.append(follow(events, kind, version, NOON + timedelta(hours=hours), "ann", "", *evidence))
    return events


def test_each_event_carries_the_hash_of_the_one_before() -> None:
    events = ledger(TWO)
    assert [event.number for event in events] == [1, 2, 3]
    assert [event.previous for event in events] == ["", digest(events[0]), digest(events[1])]
    verify(events)


def test_empty_ledger_is_whole_and_releases_nothing() -> None:
    verify([])
    assert fold([]) == ReleaseState()


def test_clock_that_went_back_does_not_reorder_history() -> None:
    events = ledger(TWO)
    assert follow(events, K.PROMOTED, 2, NOON - timedelta(days=1), "ann", "").at == events[-1].at


def test_time_without_zone_is_refused() -> None:
    with pytest.raises(ReleaseError, match="time zone"):
        follow([], K.REGISTERED, 1, NOON.replace(tzinfo=None), "ann", "")


@pytest.mark.parametrize(
    ("at", "harm"),
    [
        (1, lambda e: [e[0], replace(e[1], version=9), *e[2:]]),
        (0, lambda e: [replace(e[0], evidence={"auc": 0.99}), *e[1:]]),
        (1, lambda e: [e[0], *e[2:]]),
        (1, lambda e: [e[0], e[2], e[1], *e[3:]]),
        (0, lambda e: e[1:]),
        (2, lambda e: [*e[:2], e[1], *e[2:]]),
    ],
    ids=["changed", "first changed", "removed", "swapped", "first removed", "repeated"],
)
def test_changed_history_is_named_by_the_first_event_that_does_not_follow(at: int, harm: object) -> None:
    assert callable(harm)
    changed = harm(ledger([*TWO, (K.PROMOTED, 2)]))
    first = at + (2 if changed[at].number == at + 1 else 1)
    with pytest.raises(StorageError, match=f"event {first} "):
        verify(changed)


texts = st.text(st.characters(codec="utf-8"))
values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))])
times = st.tuples(st.integers(0, 2**52), zones).map(lambda t: (NOON + timedelta(microseconds=t[0])).astimezone(t[1]))


@given(st.lists(st.tuples(times, texts, st.dictionaries(texts, values)), max_size=4))
def test_hashes_fit_after_a_round_trip_through_storage(facts: list[tuple[datetime, str, dict[str, Value]]]) -> None:
    events: list[LedgerEvent] = []
    for at, text, evidence in facts:
        events.append(follow(events, K.APPROVED, 1, at, text, text, evidence))
    stored = [decode(LedgerEvent, encode(event)) for event in events]
    verify(stored)
    assert stored == events


def test_canary_goes_step_by_step_to_champion() -> None:
    events = ledger([*TWO, (K.RELEASED, 2, CANARY), (K.ADVANCED, 2), (K.PROMOTED, 2)])
    begun, advanced, promoted = (fold(events[:n]) for n in (4, 5, 6))
    assert (begun.challenger, begun.steps, begun.step, begun.step_since) == (2, (0.1, 0.5), 0, events[3].at)
    assert (advanced.step, advanced.step_since) == (1, events[4].at)
    assert (promoted.champion, promoted.previous_champion, promoted.challenger) == (2, 1, None)
    assert promoted.champion_since == events[5].at


def test_rolled_back_challenger_leaves_the_champion_and_is_rejected() -> None:
    state = fold(ledger([*TWO, (K.RELEASED, 2, CANARY), (K.ROLLED_BACK, 2)]))
    assert (state.champion, state.challenger, state.rejected) == (1, None, (2,))


def test_rollback_after_rollback_goes_further_back_never_to_a_rejected_version() -> None:
    facts: list[Fact] = [(K.REGISTERED, v) for v in (1, 2, 3)]
    facts += [(K.PROMOTED, v) for v in (1, 2, 3)] + [(K.ROLLED_BACK, 3), (K.ROLLED_BACK, 2)]
    champions = [fold(ledger(facts[:n])).champion for n in (6, 7, 8)]
    last = fold(ledger(facts))
    assert (champions, last.previous_champion, last.rejected) == ([3, 2, 1], None, (3, 2))


def test_rejected_version_released_again_is_no_longer_rejected() -> None:
    facts: list[Fact] = [*TWO, (K.RELEASED, 2, CANARY), (K.ROLLED_BACK, 2), (K.RELEASED, 2, CANARY)]
    assert fold(ledger(facts)).rejected == ()


def test_writer_killed_between_immediate_release_and_promotion_changes_nothing() -> None:
    released = ledger([*TWO, (K.RELEASED, 2, {"strategy": "immediate"})])
    assert replace(fold(released), number=3) == fold(released[:3])


def test_registering_again_changes_nothing() -> None:
    assert fold(ledger([*TWO, (K.REGISTERED, 1)])).registered == (1, 2)


def test_newer_events_fold_onto_the_state_of_the_older() -> None:
    events = ledger([*TWO, (K.RELEASED, 2, CANARY), (K.ADVANCED, 2), (K.PROMOTED, 2)])
    for n in range(len(events) + 1):
        assert fold(events[n:], fold(events[:n])) == fold(events)


@pytest.mark.parametrize(
    "facts",
    [
        [(K.PROMOTED, 1)],
        [(K.APPROVED, 1)],
        [(K.REGISTERED, 1), (K.RELEASED, 1, CANARY)],
        [*TWO, (K.PROMOTED, 1)],
        [*TWO, (K.RELEASED, 1, CANARY)],
        [*TWO, (K.RELEASED, 2, {"steps": "0.5,0.1"})],
        [*TWO, (K.RELEASED, 2, {"steps": "half"})],
        [*TWO, (K.RELEASED, 2, {"steps": "0.5,1.0"})],
        [*TWO, (K.ADVANCED, 2)],
        [*TWO, (K.RELEASED, 2, {"steps": "0.5"}), (K.ADVANCED, 2)],
        [*TWO, (K.REGISTERED, 3), (K.RELEASED, 2, CANARY), (K.PROMOTED, 3)],
        [*TWO, (K.REGISTERED, 3), (K.RELEASED, 2, CANARY), (K.RELEASED, 3, CANARY)],
        [*TWO, (K.RELEASED, 2, CANARY), (K.ROLLED_BACK, 1)],
        [*TWO, (K.ROLLED_BACK, 1)],
        [*TWO, (K.ROLLED_BACK, 2)],
    ],
)
def test_event_that_its_predecessors_do_not_allow_is_named(facts: list[Fact]) -> None:
    fold(ledger(facts[:-1]))
    with pytest.raises(ReleaseError, match=f"event {len(facts)} "):
        fold(ledger(facts))


def test_gap_in_the_numbers_is_refused() -> None:
    with pytest.raises(ReleaseError, match="event 2 was expected"):
        fold([ledger(TWO)[0], ledger(TWO)[2]])


def test_champion_as_of_a_time() -> None:
    events = ledger([*TWO, (K.PROMOTED, 2), (K.ROLLED_BACK, 2)])
    hours = (-1, 0.5, 1, 2.5, 3, 4, 100)
    assert [champion_at(events, NOON + timedelta(hours=h)) for h in hours] == [None, None, 1, 1, 2, 1, 1]
