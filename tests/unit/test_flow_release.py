"""From a version to traffic and back, on what the prediction log says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace
from tests.unit.serving_models import MemoryLog, bundle

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import ReleaseError
from everfit.flow import ledger, release, verdicts
from everfit.flow.trial import Trial
from everfit.project.sections.release import Release, Verdict
from everfit.records.model import ModelVersion
from everfit.records.prediction import Label, PredictionRecord
from everfit.records.release import Action, ReleaseState
from everfit.training.bundle import open_bundle

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANIFEST = open_bundle(bundle())
CANARY = Release(steps=(0.1, 0.5), verdict=Verdict(requests=100, errors=0.1))


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


def records(version: int, count: int, errors: int = 0, at: datetime = NOW) -> list[PredictionRecord]:
    return [
        PredictionRecord(
            f"{version}-{at.minute}-{i}",
            at + timedelta(milliseconds=i),
            f"customer {version}-{at.minute}-{i}",
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


class Labels:
    """A LabelStore that holds these."""

    def __init__(self, known: Iterable[Label] = ()) -> None:
        self.known = {label.prediction_id: label for label in known}

    def put(self, labels: Iterable[Label]) -> int:
        raise NotImplementedError

    def frame(self, since: datetime | None = None) -> pl.DataFrame:
        truths = [label.value for label in self.known.values()]
        return pl.DataFrame(
            {
                "prediction_id": list(self.known),
                "known_at": [label.known_at for label in self.known.values()],
                "value": [truth if isinstance(truth, str) else None for truth in truths],
                "number": [None if isinstance(truth, str) else float(truth) for truth in truths],
            },
            schema={
                "prediction_id": pl.String,
                "known_at": pl.Datetime("us", "UTC"),
                "value": pl.String,
                "number": pl.Float64,
            },
        )

    def count(self) -> int:
        return len(self.known)


def look(
    state: SqliteState,
    *seen: PredictionRecord,
    after: timedelta = timedelta(minutes=1),
    settings: Release = CANARY,
    pictures: Path | None = None,
    labels: Labels | None = None,
) -> tuple[str, ReleaseState]:
    trial = Trial(MemoryLog(list(seen)), labels or Labels(), settings, MANIFEST, timedelta(days=1))
    found, now = release.look(state, trial, "ann", NOW + after, pictures)
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


def advanced(state: SqliteState) -> list[PredictionRecord]:
    """A canary on its second step, and what it has seen until a minute later."""
    canary(state)
    seen = [*records(1, 900), *records(2, 200)]
    assert look(state, *seen)[0] == Action.ADVANCE
    return [*seen, *records(1, 200, at=NOW + timedelta(minutes=1)), *records(2, 200, at=NOW + timedelta(minutes=1))]


def test_a_healthy_canary_goes_on_and_becomes_champion(state: SqliteState) -> None:
    seen = advanced(state)
    action, after = look(state, *seen, after=timedelta(minutes=2))
    assert (action, after.champion, after.challenger, after.previous_champion) == (Action.PROMOTE, 2, None, 1)


def test_a_failing_canary_goes_back_and_the_champion_stays(state: SqliteState) -> None:
    canary(state)
    action, after = look(state, *records(1, 200), *records(2, 20, 15))
    assert (action, after.champion, after.challenger, after.rejected) == (Action.ROLL_BACK, 1, None, (2,))


def test_a_canary_without_requests_is_undecided_and_at_its_deadline_goes_back(state: SqliteState) -> None:
    canary(state)
    before = len(ledger.events(state))
    assert look(state)[0] == Action.INCONCLUSIVE
    assert len(ledger.events(state)) == before
    assert look(state, after=timedelta(days=2))[0] == Action.ROLL_BACK


def test_a_verdict_on_a_canary_that_ended_meanwhile_is_dropped(state: SqliteState) -> None:
    canary(state)

    class Meanwhile(MemoryLog):
        def read(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[PredictionRecord]:
            release.roll_back(state, "bob", "by hand", NOW)
            return iter([*records(1, 200), *records(2, 20, 15)])

    trial = Trial(Meanwhile(), Labels(), CANARY, MANIFEST, timedelta(0))
    _, after = release.look(state, trial, "ann", NOW + timedelta(minutes=1))
    assert (after.champion, after.challenger) == (1, None)
    assert ledger.events(state)[-1].by == "bob"
    assert verdicts.history(state) == []


def test_every_decision_and_some_looks_before_it_are_kept_with_their_picture(
    state: SqliteState, tmp_path: Path
) -> None:
    canary(state)
    for minutes in (1, 2, 3):
        look(state, *records(1, 10), after=timedelta(minutes=minutes), pictures=tmp_path / "pictures")
    look(state, *records(1, 200), *records(2, 20, 15), after=timedelta(minutes=4), pictures=tmp_path / "pictures")
    kept = verdicts.history(state)
    assert [one.action for one in kept] == [Action.INCONCLUSIVE, Action.ROLL_BACK]
    (picture,) = (tmp_path / "pictures").iterdir()
    assert kept[-1].picture == str(picture)
    assert ledger.events(state)[-1].evidence["picture"] == str(picture)
    assert "Version 2 against version 1: roll back" in picture.read_text()
    (found,) = kept[-1].findings
    assert (found.worse, found.champion, found.challenger) == (True, 200, 20)


BY_LABELS = Release(steps=(0.5,), verdict=Verdict(requests=50, errors=None, log_loss=0.2, deadline=timedelta(days=9)))


def labels(version: int, truth: str) -> Labels:
    """Everybody is a Yes but those whom that version scored."""
    return Labels(Label(f"{v}-0-{i}", truth if v == version else "Yes", NOW) for v in (1, 2) for i in range(300))


def test_labels_count_when_they_have_matured_and_not_before(state: SqliteState) -> None:
    release.start(state, BY_LABELS, "ann", 1, at=NOW)
    release.start(state, BY_LABELS, "ann", 2, at=NOW)
    seen = [replace(r, score=0.1) for r in (*records(1, 300), *records(2, 300))]
    wrong = labels(2, "No")
    assert look(state, *seen, settings=BY_LABELS, labels=wrong, after=timedelta(hours=23))[0] == Action.INCONCLUSIVE
    assert look(state, *seen, settings=BY_LABELS, labels=wrong, after=timedelta(hours=25))[0] == Action.ROLL_BACK


def test_good_labels_promote(state: SqliteState) -> None:
    release.start(state, BY_LABELS, "ann", 1, at=NOW)
    release.start(state, BY_LABELS, "ann", 2, at=NOW)
    seen = [replace(r, score=0.1) for r in (*records(1, 300), *records(2, 300))]
    assert look(state, *seen, settings=BY_LABELS, labels=labels(2, "Yes"), after=timedelta(days=2))[0] == Action.PROMOTE


def test_a_criterion_that_the_target_does_not_have_is_refused(state: SqliteState) -> None:
    canary(state)
    numbers = Release(verdict=Verdict(mae=0.05))
    with pytest.raises(ReleaseError, match="cannot be judged by mae"):
        look(state, settings=numbers)


def test_a_rollback_gives_the_traffic_back(state: SqliteState) -> None:
    for number in (1, 2):
        release.start(state, Release(strategy="immediate"), "ann", number)
    after = release.roll_back(state, "bob", "complaints")
    assert (after.champion, after.rejected) == (1, (2,))
    assert ledger.events(state)[-1].reason == "complaints"
