"""Looks that go on where the look before left off count what a look from the start counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.serving_models import MemoryLog, bundle
from tests.unit.test_flow_release import Labels, canary, look, records, state

from everfit.adapters.state.sqlite import SqliteState
from everfit.flow import holding, ledger, release, verdicts
from everfit.flow import trial as evidence
from everfit.flow.gathering import Gathering
from everfit.flow.holding import Counted
from everfit.flow.trial import SETTLED, Trial
from everfit.project.sections.release import Guard, Release, Verdict
from everfit.records.codec import encode
from everfit.records.prediction import Label, PredictionRecord
from everfit.records.release import Action, ReleaseState, Strategy
from everfit.rollout.tally import StepTally, tally
from everfit.training.bundle import open_bundle

__all__ = ["state"]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANIFEST = open_bundle(bundle())
SETTINGS = Release(steps=(0.1, 0.5), verdict=Verdict(errors=0.005, latency_p99=0.2, scores=0.05))
ONE_STEP = ReleaseState(4, 1, NOW, None, 2, (0.1, 0.5), 0, NOW, (NOW,))
ADVANCED = timedelta(minutes=7)


@dataclass
class Arriving(MemoryLog):
    """A log whose records arrive some time after theirs; it counts what it gives out."""

    late: dict[str, float] = field(default_factory=dict)
    now: datetime = NOW
    given: int = 0

    def read(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[PredictionRecord]:
        for record in self.records:
            arrived = record.time + timedelta(seconds=self.late.get(record.id, 0.0)) <= self.now
            if arrived and (since is None or record.time >= since) and (until is None or record.time < until):
                self.given += 1
                yield record


def traffic(seed: int, count: int) -> Arriving:
    """Twelve minutes of few customers who come again, in batches of one time and latency, and fail now and then."""
    random = np.random.default_rng(seed)
    log, seconds = Arriving(), np.sort(random.random(count)) * 720
    for place, second in enumerate(seconds.round(2).tolist()):
        version, latency = int(random.integers(1, 4)), float(random.random() + 0.001)
        for row in range(int(random.integers(1, 4))):
            name = f"{place}-{row}"
            entity = f"c-{random.integers(30)}" if random.random() < 0.9 else None
            failed = bool(random.random() < 0.2)
            score, error = (None, "no") if failed else (float(random.random()), None)
            one = PredictionRecord(
                name, NOW + timedelta(seconds=second), entity, {}, {}, "arm", version,
                score, None if failed else "Yes", latency, error,
            )  # fmt: skip
            log.records.append(one)
            log.late[name] = float(random.random() * SETTLED.total_seconds() * 0.95)
    return log


def at(minutes: float) -> tuple[ReleaseState, datetime]:
    """The release as it is then: it took its second step after seven minutes."""
    now = NOW + timedelta(minutes=minutes)
    begun = NOW + ADVANCED
    second = replace(ONE_STEP, step=1, step_since=begun, step_times=(NOW, begun))
    return (second if now >= begun else ONE_STEP), now


def equal(first: tuple[StepTally, ...], second: tuple[StepTally, ...]) -> bool:
    pairs = [
        (a, b)
        for x, y in zip(first, second, strict=True)
        for a, b in ((x.champion, y.champion), (x.challenger, y.challenger))
    ]
    same = all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in pairs
        for name in ("requests", "errors", "failures", "latencies", "scores")
    )
    return same and [one.share for one in first] == [one.share for one in second]


def trial_on(log: MemoryLog, labels: Labels | None = None, release: Release = SETTINGS) -> Trial:
    return Trial(log, labels or Labels(), release, MANIFEST, timedelta(0))


def from_the_start(trial: Trial, now_state: ReleaseState, now: datetime) -> tuple[StepTally, ...]:
    scale = evidence.scale(trial, now_state)
    seen = evidence.observed(trial, now_state, (), now)
    return tally(seen, evidence.steps(now_state, now), 1, 2, scale.thresholds)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1000),
    looks=st.lists(
        st.tuples(st.floats(0.1, 12), st.sampled_from(["goes on", "restarts", "damaged"])), min_size=1, max_size=8
    ),
)
def test_looks_at_any_times_with_restarts_count_what_a_look_from_the_start_counts(
    tmp_path: Path, seed: int, looks: list[tuple[float, str]]
) -> None:
    path = tmp_path / "counts"
    path.unlink(missing_ok=True)
    log, gathering = traffic(seed, 80), Gathering(path)
    trial = trial_on(log)
    for minutes, what in sorted(looks):
        now_state, log.now = at(minutes)
        if what != "goes on":
            gathering = Gathering(path)
        if what == "damaged" and path.exists():
            content = bytearray(path.read_bytes())
            content[seed % len(content)] ^= 1
            path.write_bytes(content)
        scale = gathering.scale(trial, now_state)
        found = gathering.counts(trial, now_state, scale, log.now)
        assert equal(found, from_the_start(trial, now_state, log.now))


def test_a_look_reads_what_is_new_and_the_last_minute(tmp_path: Path) -> None:
    log, gathering = traffic(1, 500), Gathering(tmp_path / "counts")
    trial = trial_on(log, release=Release(steps=(0.1, 0.5)))
    for minutes in (6.0, 6.1):
        now_state, log.now = at(minutes)
        log.given = 0
        gathering.counts(trial, now_state, gathering.scale(trial, now_state), log.now)
    assert 0 < log.given < len(log.records) / 4


def test_the_counts_of_another_release_are_not_taken(tmp_path: Path) -> None:
    log = traffic(1, 100)
    trial, path = trial_on(log), tmp_path / "counts"
    now_state, log.now = at(6)
    Gathering(path).counts(trial, now_state, evidence.scale(trial, now_state), log.now)
    later = replace(now_state, step_times=(NOW + timedelta(minutes=3),))
    found = Gathering(path).counts(trial, later, evidence.scale(trial, later), log.now)
    assert equal(found, from_the_start(trial, later, log.now))


def test_labels_are_counted_from_the_start(tmp_path: Path) -> None:
    log = traffic(1, 100)
    known = [Label(record.id, "Yes", NOW) for record in log.records[:50]]
    trial = trial_on(log, Labels(known), Release(steps=(0.1, 0.5), verdict=Verdict(log_loss=0.01)))
    now_state, log.now = at(6)
    scale = evidence.scale(trial, now_state)
    found = Gathering(tmp_path / "counts").counts(trial, now_state, scale, log.now)
    seen = evidence.observed(trial, now_state, scale.losses, log.now)
    expected = tally(seen, evidence.steps(now_state, log.now), 1, 2, scale.thresholds)
    assert (
        int(sum(step.champion.losses.sum() for step in found))
        == int(sum(s.champion.losses.sum() for s in expected))
        > 0
    )


@pytest.mark.parametrize("late", [0, 120], ids=["in time", "after its time was settled"])
def test_a_decision_rests_on_a_count_from_the_start(state: SqliteState, tmp_path: Path, late: int) -> None:
    canary(state)
    failing = records(2, 40, 40)
    log = Arriving([*records(1, 400), *failing], {record.id: late for record in failing})
    trial = Trial(log, Labels(), Release(steps=(0.1, 0.5), verdict=Verdict(requests=100)), MANIFEST, timedelta(0))
    gathering = Gathering(tmp_path / "counts")
    for minutes in (1.5, 1.9, 30, 60, 61):
        log.now = NOW + timedelta(minutes=minutes)
        found, after = release.look(state, trial, "ann", log.now, gathering=gathering)
        if found is None:
            break
    assert (after.challenger, after.rejected) == (None, (2,))
    assert verdicts.history(state)[-1].action is Action.ROLL_BACK
    assert verdicts.history(state)[-1].evidence["challenger_errors"] == 40


def test_looks_with_and_without_what_was_gathered_end_alike(state: SqliteState, tmp_path: Path) -> None:
    canary(state)
    action, after = look(state, *records(1, 200), *records(2, 20, 15))
    other = SqliteState(tmp_path / "other.db")
    for event in ledger.events(state)[:-1]:
        other.append(ledger.STREAM, encode(event))
    log = MemoryLog([*records(1, 200), *records(2, 20, 15)])
    gathering = Gathering(tmp_path / "counts")
    trial = trial_on(log, release=Release(steps=(0.1, 0.5), verdict=Verdict(requests=100, errors=0.1)))
    found, again = release.look(other, trial, "ann", NOW + timedelta(minutes=1), gathering=gathering)
    assert found is not None
    assert (found.action, again.rejected) == (action, after.rejected)


def test_an_entitys_code_is_the_same_in_every_look(state: SqliteState) -> None:
    log = traffic(3, 50)
    now_state, log.now = at(12)
    trial = trial_on(log)
    whole = evidence.observed(trial, now_state, (), log.now)
    part = evidence.observed(trial, now_state, (), log.now, since=NOW + timedelta(minutes=6))
    assert pl.Series(whole.entity[-len(part.entity) :]).to_list() == part.entity.tolist()


def promoted(state: SqliteState) -> None:
    release.start(state, Release(strategy=Strategy.IMMEDIATE), "ann", 1, at=NOW)
    release.start(state, Release(strategy=Strategy.IMMEDIATE), "ann", 2, at=NOW)


@pytest.mark.parametrize("seed", range(3))
def test_a_new_champion_is_held_to_the_same_counts_look_by_look(state: SqliteState, seed: int) -> None:
    promoted(state)
    log, counted = traffic(seed, 300), Counted()
    calm = Release(guard=Guard(burst=0.95))
    for minutes in (0.5, 3, 3.01, 9, 12):
        log.now = NOW + timedelta(minutes=minutes)
        assert holding.hold(state, log, calm, "ann", log.now, counted)[0] is None
    given, log.given = log.given, 0
    failures, requests = holding._requests(log, 2, NOW, log.now, replace(counted))
    assert log.given < given / 3
    assert (failures, requests) == holding._requests(log, 2, NOW, log.now, Counted())


def test_a_burst_after_quiet_minutes_takes_the_new_champion_back(state: SqliteState) -> None:
    promoted(state)
    log, counted = Arriving(records(2, 30)), Counted()
    log.now = NOW + timedelta(minutes=5)
    assert holding.hold(state, log, Release(), "ann", log.now, counted)[0] is None
    log.records += records(2, 200, 200, at=log.now)
    log.now += timedelta(seconds=10)
    found, after = holding.hold(state, log, Release(), "ann", log.now, counted)
    assert found is not None
    assert (found.evidence["errors"], found.evidence["requests"], after.champion) == (200, 230, 1)
