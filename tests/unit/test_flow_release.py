"""From a version to traffic and back, on what the prediction log says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.flow_places import Told
from tests.unit.serving_models import MemoryLog

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import ReleaseError
from everfit.flow import ledger, release
from everfit.project.sections.release import Release, Verdict
from everfit.records.model import ModelVersion
from everfit.records.prediction import PredictionRecord
from everfit.records.release import Action, ReleaseState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CANARY = Release(steps=(0.1, 0.5), verdict=Verdict(requests=100))


@pytest.fixture
def state(tmp_path: Path) -> SqliteState:
    found = SqliteState(tmp_path / "state.db")
    for number in (1, 2):
        made = ModelVersion("churn", number, f"bundle{number}", f"run{number}", NOW, {})
        ledger.register(found, made, "ann", NOW)
    return found


def canary(state: SqliteState) -> None:
    release.start(state, CANARY, "ann", 1, at=NOW)
    release.start(state, CANARY, "ann", 2, at=NOW)


def records(version: int, count: int, errors: int = 0) -> list[PredictionRecord]:
    return [
        PredictionRecord(
            f"{version}-{i}",
            NOW,
            None,
            {},
            {},
            "arm",
            version,
            0.5,
            "Yes",
            0.01 * (i + 1),
            "failed" if i < errors else None,
        )
        for i in range(count)
    ]


def look(
    state: SqliteState, *seen: PredictionRecord, after: timedelta = timedelta(minutes=1)
) -> tuple[str, ReleaseState]:
    found, now = release.look(state, MemoryLog(list(seen)), CANARY, "ann", NOW + after)
    return (found.action.value if found else "none"), now


def test_without_a_version_there_is_nothing_to_release(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no version is registered yet"):
        release.start(SqliteState(tmp_path / "empty.db"), CANARY, "ann")


def test_the_newest_version_is_released_unless_another_is_named(state: SqliteState) -> None:
    assert release.start(state, CANARY, "ann").champion == 2
    assert release.start(state, Release(strategy="immediate"), "ann", 1).champion == 1


def test_a_second_version_begins_as_a_canary(state: SqliteState) -> None:
    canary(state)
    now = ledger.current(state)
    assert (now.champion, now.challenger, now.steps, now.step) == (1, 2, (0.1, 0.5), 0)


def test_a_look_without_a_canary_does_nothing(state: SqliteState) -> None:
    release.start(state, CANARY, "ann", 1, at=NOW)
    before = len(ledger.events(state))
    assert look(state)[0] == "none"
    assert len(ledger.events(state)) == before


def test_a_healthy_canary_goes_on_and_becomes_champion(state: SqliteState) -> None:
    canary(state)
    seen = [*records(1, 200, 1), *records(2, 200, 1)]
    assert look(state, *seen)[0] == Action.ADVANCE
    action, after = look(state, *seen)
    assert (action, after.champion, after.challenger, after.previous_champion) == (Action.PROMOTE, 2, None, 1)


def test_a_failing_canary_goes_back_and_the_champion_stays(state: SqliteState) -> None:
    canary(state)
    action, after = look(state, *records(1, 200), *records(2, 20, 15))
    assert (action, after.champion, after.challenger, after.rejected) == (Action.ROLL_BACK, 1, None, (2,))


def test_a_canary_without_requests_waits_and_at_its_deadline_goes_back(state: SqliteState) -> None:
    canary(state)
    before = len(ledger.events(state))
    assert look(state)[0] == Action.WAIT
    assert len(ledger.events(state)) == before
    assert look(state, after=timedelta(days=2))[0] == Action.ROLL_BACK


def test_a_verdict_on_a_canary_that_ended_meanwhile_is_dropped(state: SqliteState) -> None:
    canary(state)

    class Meanwhile(MemoryLog):
        def read(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[PredictionRecord]:
            release.roll_back(state, "bob", "by hand", NOW)
            return iter([*records(1, 200), *records(2, 20, 15)])

    _, after = release.look(state, Meanwhile(), CANARY, "ann", NOW)
    assert (after.champion, after.challenger) == (1, None)
    assert ledger.events(state)[-1].by == "bob"


def test_evidence_counts_each_arm_by_itself() -> None:
    log = MemoryLog([*records(1, 100, 3), *records(2, 10, 1), *records(7, 5, 5)])
    seen = log.frame(["version", "latency", "error"])
    champion, challenger = release.evidence(seen, 1, 2)
    assert (champion.requests, champion.errors, challenger.requests, challenger.errors) == (100, 3, 10, 1)
    assert champion.latency_p99 == pytest.approx(0.9901)
    assert release.evidence(seen.clear(), 1, 2)[0].latency_p99 is None


def test_a_rollback_gives_the_traffic_back(state: SqliteState) -> None:
    for number in (1, 2):
        release.start(state, Release(strategy="immediate"), "ann", number)
    after = release.roll_back(state, "bob", "complaints")
    assert (after.champion, after.rejected) == (1, (2,))
    assert ledger.events(state)[-1].reason == "complaints"


class Registry:
    """Remembers the aliases, or is not there."""

    def __init__(self, broken: bool = False) -> None:
        self.aliases: Mapping[str, int] = {}
        self.broken = broken

    def mirror(self, aliases: Mapping[str, int]) -> None:
        if self.broken:
            raise ConnectionError("nobody answers")
        self.aliases = aliases

    def add(self, *_: object) -> ModelVersion:
        raise NotImplementedError

    def versions(self) -> list[ModelVersion]:
        raise NotImplementedError


def test_the_registry_is_told_who_answers_and_who_is_on_trial(state: SqliteState) -> None:
    canary(state)
    registry = Registry()
    release.mirror(registry, ledger.current(state), Told())
    assert registry.aliases == {"production": 1, "staging": 2}


def test_a_registry_that_is_not_there_undoes_no_release_and_is_told_of(state: SqliteState) -> None:
    told = Told()
    after = release.mirror(Registry(broken=True), release.start(state, CANARY, "ann", 1), told)
    assert after.champion == 1
    assert told.notes == ["the registry does not know of this yet: ConnectionError: nobody answers"]
