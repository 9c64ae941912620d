"""What the registry shows of the ledger, and what becomes of moves made there by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.cli_project import SETTINGS, project, register
from tests.unit.flow_places import Told

from everfit.flow import alerting, ledger, mirror
from everfit.project.load import load
from everfit.records.codec import decode, encode
from everfit.records.model import ModelVersion
from everfit.records.release import EventKind
from everfit.versions import reconcile
from everfit.wiring import Ports
from everfit.workspace import Workspace

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Registry:
    """A registry in memory that counts what was written, or is not there."""

    def __init__(self) -> None:
        self.shown: dict[str, int] = {}
        self.stages: dict[int, str] = {}
        self.there = {1, 2, 3}
        self.writes = 0
        self.broken = False

    def aliases(self) -> Mapping[str, int]:
        return dict(self.shown)

    def mirror(self, aliases: Mapping[str, int], stages: Mapping[int, str]) -> None:
        if self.broken:
            raise ConnectionError("nobody answers")
        self.shown, self.stages = dict(aliases), dict(stages)
        self.writes += 1

    def versions(self) -> list[ModelVersion]:
        return [ModelVersion("churn", number, "", "", NOW, {}) for number in sorted(self.there)]

    def add(self, *_: object) -> ModelVersion:
        raise NotImplementedError


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry()
    monkeypatch.setattr(Ports, "registry", made)
    return made


class Place:
    """A project in which version 1 is champion, versions 2 and 3 are registered, and the registry shows it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, policy: str = "undo") -> None:
        settings = SETTINGS.replace("release: canary", f"release: {{strategy: immediate, foreign: {policy}}}")
        self.ports = project(folder, monkeypatch, settings)
        for version in (1, 2, 3):
            register(self.ports, version, real=True)
        self.told = Told()
        self.workspace = Workspace(load("everfit.yaml"), self.told, author="ann")
        self.workspace.release(1)

    def alarms(self) -> list[str]:
        return [alarm.message for alarm in alerting.history(self.ports.state)]

    def records(self) -> list[mirror.Mirrored]:
        return [decode(mirror.Mirrored, text) for _, text in self.ports.state.read(mirror.STREAM)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry) -> Place:
    return Place(tmp_path, monkeypatch)


def test_it_shows_production_staging_and_every_archived_version(place: Place, registry: Registry) -> None:
    for version in (2, 3):
        place.workspace.release(version)
    assert registry.shown == {"production": 3, "archived": 2}
    assert registry.stages == {3: "production", 2: "archived", 1: "archived"}


def test_telling_it_again_writes_nothing(place: Place, registry: Registry) -> None:
    for _ in range(2):
        mirror.tell(place.ports.state, registry, place.told)
        assert reconcile(place.workspace) == ()
    assert registry.writes == 1
    assert [record.done for record in place.records()] == [False, True]


def test_one_that_is_not_there_undoes_no_release_and_is_told_by_the_next_reconciliation(
    place: Place, registry: Registry
) -> None:
    registry.broken = True
    assert place.workspace.release(2).champion == 2
    assert place.told.notes == ["the registry does not know of this yet: ConnectionError: nobody answers"]
    registry.broken = False
    assert reconcile(place.workspace) == ()
    assert registry.shown["production"] == 2


def test_a_move_by_hand_is_undone_and_told_once(place: Place, registry: Registry) -> None:
    registry.shown["production"] = 2
    (alarm,) = reconcile(place.workspace)
    assert alarm.message == (
        "the alias production was at version 1 and was moved to version 2 by hand in the registry; it is undone"
    )
    assert registry.shown["production"] == 1
    assert ledger.current(place.ports.state).champion == 1
    assert reconcile(place.workspace) == ()
    assert place.alarms() == [alarm.message]


def test_the_same_move_again_is_told_again(place: Place, registry: Registry) -> None:
    for _ in range(2):
        registry.shown["production"] = 2
        reconcile(place.workspace)
    assert len(place.alarms()) == 2


def test_a_move_by_hand_is_adopted_by_the_ledgers_own_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry
) -> None:
    place = Place(tmp_path, monkeypatch, "adopt")
    place.workspace.release(2)
    registry.shown["production"] = 1
    (alarm,) = reconcile(place.workspace)
    assert alarm.message.endswith("it is adopted")
    last = ledger.events(place.ports.state)[-1]
    assert (last.kind, last.version) == (EventKind.PROMOTED, 1)
    assert "by hand in the registry" in last.reason
    assert registry.shown == {"production": 1, "archived": 2}


@pytest.mark.parametrize(("shown", "why"), [({"production": 9}, "version 9 is not registered"), ({}, "it is undone")])
def test_a_move_that_the_rules_refuse_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry, shown: dict[str, int], why: str
) -> None:
    place = Place(tmp_path, monkeypatch, "adopt")
    registry.shown = shown
    (alarm,) = reconcile(place.workspace)
    assert why in alarm.message
    assert registry.shown == {"production": 1}
    assert ledger.current(place.ports.state).champion == 1


def test_a_move_is_left_and_told_once_where_it_is_only_to_be_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry
) -> None:
    place = Place(tmp_path, monkeypatch, "report")
    registry.shown["production"] = 2
    for _ in range(2):
        reconcile(place.workspace)
    assert registry.shown["production"] == 2
    assert len(place.alarms()) == 1
    place.workspace.release(3)
    assert registry.shown["production"] == 3


def test_a_version_in_use_that_was_deleted_there_is_told_once(place: Place, registry: Registry) -> None:
    registry.there -= {1, 3}
    for _ in range(2):
        reconcile(place.workspace)
    (message,) = place.alarms()
    assert "version 1 is in use and was deleted in the registry" in message


def test_a_move_that_is_under_way_in_another_process_is_none_by_hand(place: Place, registry: Registry) -> None:
    state = place.ports.state
    state.append(mirror.STREAM, encode(mirror.Mirrored(9, {"production": 2}, datetime.now(UTC))))
    registry.shown["production"] = 2
    assert mirror.moves(state, registry) == ()
    mirror.tell(state, registry, place.told)
    assert registry.shown["production"] == 2  # left to the other process


def test_an_intent_of_a_process_that_was_killed_is_taken_over(place: Place, registry: Registry) -> None:
    state, long_ago = place.ports.state, datetime.now(UTC) - timedelta(minutes=5)
    state.append(mirror.STREAM, encode(mirror.Mirrored(9, {"production": 2}, long_ago)))
    registry.shown["production"] = 2
    assert reconcile(place.workspace) == ()
    assert registry.shown["production"] == 1


def test_whoever_tells_looks_at_the_ledger_once_more_when_it_is_done(
    place: Place, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = registry.mirror

    def slow(aliases: Mapping[str, int], stages: Mapping[int, str]) -> None:
        monkeypatch.setattr(registry, "mirror", first)
        place.workspace.release(3)  # another process, which leaves the telling to this one
        first(aliases, stages)

    monkeypatch.setattr(registry, "mirror", slow)
    place.workspace.release(2)
    assert registry.shown["production"] == 3
