"""A server that loses the state store: it keeps its table, obeys an order given on its machine, and comes back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.serving_models import GOOD, MemoryLog
from tests.unit.test_flow_routes import AT_ONCE, NOW, Stores

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import NotReady, ReleaseError, StorageError
from everfit.flow import ledger, release
from everfit.flow.explaining import opener
from everfit.flow.replica import Replica
from everfit.flow.standby import Standby
from everfit.ports import StateStore
from everfit.project.sections.release import Release
from everfit.records.release import EventKind
from everfit.serving.explaining import Explainer
from everfit.serving.predictor import Predictor


class Machine:
    """Stores with two registered versions, and servers beside them that may find the state store away."""

    def __init__(self, folder: Path) -> None:
        self.stores = Stores(folder)
        self.state: StateStore = self.stores.state
        self.standby = Standby(folder)
        self.away = False
        self.predictor, self.replica = self.server()

    def server(self) -> tuple[Predictor, Replica]:
        predictor = Predictor(MemoryLog())
        return predictor, Replica(predictor, self._open, self.stores.artifacts, self.standby)

    def _open(self) -> StateStore:
        if self.away:
            raise StorageError("PostgreSQL: connection refused", where="postgresql://db:5432/everfit")
        return self.state

    def refused(self) -> None:
        """Looks while the store is away."""
        self.away = True
        with pytest.raises(StorageError, match="connection refused"):
            self.replica.refresh()

    def answering(self) -> list[tuple[int, float]]:
        return [(arm.version, arm.weight) for arm in self.predictor.snapshot.table.arms]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Version 1 is champion and version 2 followed it."""
    made = Machine(tmp_path)
    for version in (1, 2):
        release.start(made.state, AT_ONCE, "ann", version, at=NOW)
        made.replica.refresh()
    return made


def confirmed(predictor: Predictor) -> float:
    lines = predictor.metrics.text().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("release_confirmed_timestamp_seconds "))


def test_replicas_agree_by_the_number_of_the_ledgers_last_event(machine: Machine) -> None:
    other, replica = machine.server()
    replica.refresh()
    assert other.snapshot.table == machine.predictor.snapshot.table
    assert other.snapshot.table.number == len(ledger.events(machine.state))


def test_while_the_store_is_away_the_last_table_goes_on_and_it_says_so(machine: Machine) -> None:
    before = confirmed(machine.predictor)
    machine.refused()
    assert machine.predictor.predict([GOOD])[0].version == 2
    assert "the last route table goes on" in machine.predictor.behind
    assert f"since {datetime.now(UTC):%Y-%m-%d}" in machine.predictor.behind
    assert "release_behind 1.0" in machine.predictor.metrics.text().decode()
    assert confirmed(machine.predictor) == before
    machine.away = False
    machine.replica.refresh()
    assert machine.predictor.behind == ""
    assert confirmed(machine.predictor) > before


def test_a_server_started_while_the_store_is_away_answers_by_what_was_seen_here_last(machine: Machine) -> None:
    machine.predictor, machine.replica = machine.server()
    machine.refused()
    assert machine.predictor.predict([GOOD])[0].version == 2


def test_a_machine_that_never_saw_a_release_has_nothing_to_answer_with(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.refused()
    with pytest.raises(NotReady):
        machine.predictor.predict([GOOD])
    with pytest.raises(ReleaseError, match="nothing was ever served on this machine"):
        machine.standby.give("ann", "by hand", NOW)


def test_what_was_released_meanwhile_is_served_when_the_store_is_back(machine: Machine) -> None:
    machine.refused()
    release.roll_back(machine.state, "bob", "elsewhere")
    machine.away = False
    assert machine.replica.refresh()
    assert machine.answering() == [(1, 1.0)]


def test_an_order_to_go_back_is_obeyed_without_the_store_and_loads_nothing(machine: Machine) -> None:
    machine.refused()
    first = machine.replica._warm[1]
    after = machine.standby.give("ann", "complaints", NOW)
    assert (after.champion, after.rejected) == (1, (2,))
    assert [machine.replica.obey(), machine.replica.obey()] == [True, False]
    assert machine.predictor.predict([GOOD])[0].version == 1
    assert machine.predictor.snapshot.champion is first
    machine.refused()
    assert "an emergency rollback is in force here" in machine.predictor.behind


def test_an_order_survives_a_restart_of_the_server(machine: Machine) -> None:
    machine.refused()
    machine.standby.give("ann", "complaints", NOW)
    machine.predictor, machine.replica = machine.server()
    machine.refused()
    assert machine.answering() == [(1, 1.0)]


def test_a_second_order_is_refused_while_one_is_in_force(machine: Machine) -> None:
    machine.standby.give("ann", "complaints", NOW)
    with pytest.raises(ReleaseError, match="in force on this machine already"):
        machine.standby.give("bob", "me too", NOW)


def test_an_order_is_entered_into_the_ledger_once_when_the_store_is_back(machine: Machine) -> None:
    machine.refused()
    machine.standby.give("ann", "complaints", NOW)
    machine.replica.obey()
    machine.away = False
    for _ in range(2):
        machine.replica.refresh()
    *_, last = ledger.events(machine.state)
    assert (last.kind, last.version, last.by, last.reason) == (EventKind.ROLLED_BACK, 2, "ann", "complaints")
    assert (last.evidence["emergency"], last.evidence["ordered_at"]) == (True, NOW.isoformat())
    assert ledger.current(machine.state).champion == 1
    assert machine.standby.order() is None
    assert machine.predictor.snapshot.table.number == last.number
    assert machine.answering() == [(1, 1.0)]


def test_an_order_about_a_version_that_was_taken_back_meanwhile_is_over(machine: Machine) -> None:
    machine.standby.give("ann", "complaints", NOW)
    release.roll_back(machine.state, "bob", "elsewhere")
    before = ledger.events(machine.state)
    machine.replica.refresh()
    assert ledger.events(machine.state) == before
    assert machine.standby.order() is None
    assert machine.answering() == [(1, 1.0)]


def test_a_canary_of_the_version_that_the_order_goes_back_to_wins(machine: Machine) -> None:
    machine.standby.give("ann", "complaints", NOW)
    release.start(machine.state, Release(steps=(0.5,)), "bob", 1)
    machine.replica.refresh()
    seen = ledger.current(machine.state)
    assert (seen.champion, seen.challenger) == (1, None)


def test_an_order_given_while_the_ledger_is_being_read_is_not_undone_by_what_was_read(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = release.start(machine.state, Release(steps=(0.5,)), "bob", 1)
    read = ledger.Followed.read

    def slow(followed: ledger.Followed, state: StateStore) -> None:
        read(followed, state)
        machine.standby.give("ann", "complaints", NOW)
        machine.replica.obey()

    monkeypatch.setattr(ledger.Followed, "read", slow)
    machine.replica.refresh()
    assert machine.answering() == [(1, 1.0)]
    assert newer.challenger == 1


def test_a_ledger_shorter_than_it_was_seen_is_not_followed(machine: Machine, tmp_path: Path) -> None:
    machine.state = SqliteState(tmp_path / "another.db")
    for predictor, replica in ((machine.predictor, machine.replica), machine.server()):
        with pytest.raises(StorageError, match="the ledger holds 0 events, and this machine has seen") as told:
            replica.refresh()
        assert "release.json" in told.value.fix
        assert predictor.predict([GOOD])[0].version == 2


def test_a_damaged_file_of_the_last_release_counts_as_none(machine: Machine) -> None:
    machine.standby.remembered.write_text("{")
    assert machine.standby.saved() is None
    machine.replica.refresh()
    release.roll_back(machine.state, "bob", "by hand")
    machine.replica.refresh()
    saved = machine.standby.saved()
    assert saved is not None
    assert saved.release.champion == 1


def test_an_older_release_does_not_replace_a_newer_one(machine: Machine) -> None:
    newest = ledger.current(machine.state)
    release.roll_back(machine.state, "bob", "by hand")
    machine.replica.refresh()
    machine.standby.save(newest, ledger.versions(machine.state))
    saved = machine.standby.saved()
    assert saved is not None
    assert saved.release.champion == 1


def test_threads_that_remember_at_the_same_time_leave_a_whole_file(machine: Machine) -> None:
    seen, known = ledger.current(machine.state), ledger.versions(machine.state)
    machine.standby.remembered.unlink()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: machine.standby.save(replace(seen, number=number), known), range(1, 200)))
    assert machine.standby.saved() is not None
    assert list(machine.standby.folder.glob("release.json.*")) == []


def test_while_the_store_is_away_predictions_are_explained_by_versions_seen_here(machine: Machine) -> None:
    [said] = machine.predictor.predict([GOOD])
    machine.refused()
    opened = opener(machine.predictor, machine._open, machine.standby, machine.stores.artifacts)
    found = Explainer(machine.predictor.log, opened).explain(said.id)
    assert found.record.version == 2
    assert opened(1)[1].is_dir()
    with pytest.raises(StorageError, match="does not know"):
        opened(7)


def test_a_machine_that_never_saw_a_release_explains_nothing_while_the_store_is_away(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.away = True
    with pytest.raises(StorageError, match="connection refused"):
        opener(machine.predictor, machine._open, machine.standby, machine.stores.artifacts)(1)
