"""The ledger on a store: one line of events, whoever writes, and no decision on a state that is gone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import Conflict, StorageError
from everfit.flow import ledger
from everfit.records.codec import decode, encode
from everfit.records.model import ModelVersion
from everfit.records.release import EventKind, LedgerEvent, ReleaseState
from everfit.rollout.strategy import Draft

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> SqliteState:
    return SqliteState(tmp_path / "state.db")


def version(number: int) -> ModelVersion:
    return ModelVersion("churn", number, f"bundle{number}", f"run{number}", NOW, {"roc_auc": 0.8})


def promoted(number: int) -> tuple[Draft, ...]:
    return (Draft(EventKind.PROMOTED, number, "no champion yet"),)


def test_a_version_is_registered_with_what_it_rests_on(state: SqliteState) -> None:
    ledger.register(state, version(1), "ann", NOW)
    (found,) = ledger.versions(state).values()
    assert replace(found, created_at=NOW) == version(1)
    assert ledger.champion(state) is None


def test_a_version_is_registered_once(state: SqliteState) -> None:
    for _ in range(2):
        ledger.register(state, version(1), "ann", NOW)
    assert len(ledger.events(state)) == 1


def test_the_champion_is_a_version_with_its_bundle(state: SqliteState) -> None:
    ledger.register(state, version(1), "ann", NOW)
    after = ledger.commit(state, lambda seen: promoted(1), "ann", NOW)
    found = ledger.champion(state)
    assert (after.champion, after.champion_since) == (1, NOW)
    assert found is not None
    assert found.bundle_hash == "bundle1"


def test_a_decision_on_a_state_that_moved_is_refused_and_nothing_of_it_written(state: SqliteState) -> None:
    ledger.register(state, version(1), "ann", NOW)

    def slow(seen: ReleaseState) -> Sequence[Draft]:
        ledger.register(state, version(2), "bob", NOW)
        return promoted(1)

    with pytest.raises(Conflict, match="somebody else changed the release") as caught:
        ledger.commit(state, slow, "ann", NOW)
    assert "everfit history" in caught.value.fix
    assert [event.kind for event in ledger.events(state)] == [EventKind.REGISTERED] * 2


def test_of_two_promoters_one_wins(state: SqliteState) -> None:
    for number in (1, 2):
        ledger.register(state, version(number), "ann", NOW)
    barrier = threading.Barrier(2)

    def promote(number: int) -> bool:
        def decide(seen: ReleaseState) -> Sequence[Draft]:
            barrier.wait(20)
            return promoted(number)

        try:
            ledger.commit(state, decide, "ann", NOW)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(promote, (1, 2)))
    assert sorted(won) == [False, True]
    assert ledger.current(state).champion == won.index(True) + 1


def test_registrations_at_once_are_all_kept_in_one_line(state: SqliteState) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: ledger.register(state, version(number), "ann", NOW), range(1, 13)))
    assert sorted(ledger.versions(state)) == list(range(1, 13))
    assert [event.number for event in ledger.events(state)] == list(range(1, 13))


def test_a_changed_history_is_refused(state: SqliteState, tmp_path: Path) -> None:
    for number in (1, 2):
        ledger.register(state, version(number), "ann", NOW)
    forged = SqliteState(tmp_path / "forged.db")
    for number, text in state.read(ledger.STREAM):
        event = decode(LedgerEvent, text)
        forged.append(ledger.STREAM, encode(replace(event, by="eve") if number == 1 else event))
    with pytest.raises(StorageError, match="event 2 does not follow"):
        ledger.events(forged)


class Counted:
    """A store that counts the documents it gave out."""

    def __init__(self, store: SqliteState) -> None:
        self.store, self.given = store, 0

    def append(self, stream: str, document: bytes, expect: int | None = None) -> int:
        return self.store.append(stream, document, expect)

    def read(self, stream: str, after: int = 0) -> list[tuple[int, bytes]]:
        found = self.store.read(stream, after)
        self.given += len(found)
        return found

    def last(self, stream: str) -> tuple[int, bytes] | None:
        return self.store.last(stream)


def test_who_follows_reads_what_is_new_and_knows_what_a_first_reader_knows(state: SqliteState) -> None:
    counted, followed = Counted(state), ledger.Followed()
    for number in (1, 2, 3):
        ledger.register(state, version(number), "ann", NOW)
        followed.read(counted)
        assert followed.release == ledger.current(state)
        assert followed.versions == ledger.versions(state)
    followed.read(counted)
    assert counted.given == 3


def test_who_follows_refuses_a_change_in_what_is_new(state: SqliteState) -> None:
    followed = ledger.Followed()
    ledger.register(state, version(1), "ann", NOW)
    followed.read(state)
    forged = replace(ledger.events(state)[0], number=2, previous="0" * 64)
    state.append(ledger.STREAM, encode(forged))
    with pytest.raises(StorageError, match="event 2 does not follow"):
        followed.read(state)


def test_who_follows_takes_up_another_history_from_its_start(state: SqliteState, tmp_path: Path) -> None:
    followed = ledger.Followed()
    ledger.register(state, version(1), "ann", NOW)
    followed.read(state)
    restored = SqliteState(tmp_path / "restored.db")
    for number in (7, 8):
        ledger.register(restored, version(number), "bob", NOW)
    followed.read(restored)
    assert followed.release == ledger.current(restored)
    assert set(followed.versions) == {7, 8}
