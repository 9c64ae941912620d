"""Eight processes that promote and roll back at random on one ledger, some of them killed in the middle (SIGKILL).

Each writes down what it was told: an event of a number, or that somebody else was first. Another process reads the
ledger all the while. Afterwards the ledger must be one line from its first event, each event where its writer was told,
every version champion after the one before it, and no more events that nobody was told of than processes were killed.

    python -m benchmarks.promotion_races [--quick] [--keep FILE]
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.services import postgres as servers

from benchmarks.kept import Kept
from benchmarks.report import Cell, report, table
from everfit.errors import Conflict, ReleaseError
from everfit.flow import ledger, promotion, release
from everfit.ports import StateStore
from everfit.records.model import ModelVersion
from everfit.records.release import EventKind, LedgerEvent
from everfit.rollout import ledger as rules
from everfit.rollout.approval import Rule

WORKERS = 8
VERSIONS = 5
KILL_EVERY = 1.5  # seconds between two kills, on average
# Processes begin as forks of one that has imported everything, so that a killed one is replaced within milliseconds.
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["everfit.flow.release", "everfit.flow.promotion", "everfit.adapters.state.postgres"])


@dataclass(frozen=True)
class Store:
    """How a process opens the state: a SQLite file, or a space in PostgreSQL."""

    name: str
    address: str

    def open(self) -> StateStore:
        if self.name == "SQLite":
            from everfit.adapters.state.sqlite import SqliteState

            return SqliteState(Path(self.address))
        from everfit.adapters.state.postgres import PostgresConfig, PostgresState

        return PostgresState(PostgresConfig(self.address, "races/dev"))


def begun(said: Path) -> float:
    """Says that this process is ready, and waits for all; the time at which the race is over."""
    said.touch()
    go = said.parent / "go"
    while not go.exists():
        time.sleep(0.01)
    return float(go.read_text())


def race(store: Store, said: Path) -> None:
    """Promotes and rolls back at random until the time is over; a line for each answer, written at once."""
    name, state, chance = said.name, store.open(), random.Random(said.name)
    state.last(ledger.STREAM)
    until = begun(said)
    with said.open("a", buffering=1) as answers:
        while time.time() < until:
            try:
                if chance.random() < 0.5:
                    version = chance.randint(1, VERSIONS)
                    after = promotion.promote(state, version, name, Rule(), force=True)
                else:
                    after = release.roll_back(state, name, "at random")
                answers.write(f"event {after.number}\n")
            except Conflict:
                answers.write("second\n")
            except ReleaseError:
                answers.write("refused\n")


def watch(store: Store, said: Path) -> None:
    """Reads the ledger until the time is over: each time it must go on where it was, with one champion."""
    state, before = store.open(), list[LedgerEvent]()
    until = begun(said)
    with said.open("a", buffering=1) as answers:
        while time.time() < until:
            events = ledger.events(state)
            linear = events[: len(before)] == before
            answers.write(f"{'whole' if linear and rules.fold(events).champion else 'broken'}\n")
            before = events


@dataclass(frozen=True)
class Outcome:
    """What a race came to; everything but the counts must be none."""

    store: str
    events: int
    answers: Counter[str]
    kills: int
    looks: Counter[str]
    lost: int
    untold: int
    wrong_turns: int
    broken_at: int

    @property
    def faults(self) -> int:
        unexplained = max(0, self.untold - self.kills)
        return self.lost + unexplained + self.wrong_turns + self.broken_at + self.looks["broken"]

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Outcome:
        """The outcome from what is kept of it."""
        return cls(**{**kept, "answers": Counter(kept["answers"]), "looks": Counter(kept["looks"])})

    def row(self) -> Sequence[Cell]:
        told = self.answers
        return (
            self.store, self.events, told["event"], told["second"], told["refused"], self.kills, self.untold,
            self.looks.total(), self.looks["broken"], self.lost, self.wrong_turns, self.broken_at or "whole",
        )  # fmt: skip


HEADERS = (
    "store", "events", "told", "second", "refused", "killed", "untold", "looks", "broken looks", "lost", "wrong turns",
    "chain",
)  # fmt: skip


def raced(store: Store, place: Path, seconds: float, seed: int) -> dict[str, Any]:
    """One race in a folder of its own, as it is kept."""
    folder = place / store.name
    folder.mkdir()
    return vars(run(store, folder, seconds, seed))


def run(store: Store, folder: Path, seconds: float, seed: int) -> Outcome:
    """One race, and what is left of it."""
    state = store.open()
    for number in range(1, VERSIONS + 1):
        made = ModelVersion("churn", number, f"{number}" * 64, "run", datetime.now(UTC), {})
        ledger.register(state, made, "before")
    promotion.promote(state, 1, "before", Rule())
    kills = _race(store, folder, seconds, random.Random(seed))
    events = ledger.unverified(store.open())
    return _judged(store.name, events, folder, kills)


def _race(store: Store, folder: Path, seconds: float, chance: random.Random) -> int:
    """Eight that race and one that looks, for so long; returns how many were killed, each of them replaced."""
    watcher = _process(watch, store, folder / "looks")
    racers = [_process(race, store, folder / f"worker-{number}") for number in range(WORKERS)]
    while len(list(folder.glob("worker-*"))) < WORKERS or not (folder / "looks").exists():
        time.sleep(0.01)
    until, kills = time.time() + seconds, 0
    unfinished = folder / "go.unfinished"
    unfinished.write_text(str(until))
    unfinished.rename(folder / "go")
    while (left := until - time.time()) > 0:
        time.sleep(min(left, chance.expovariate(1 / KILL_EVERY)))
        # The oldest, once it is at work; another takes its place.
        if time.time() < until and (folder / f"worker-{kills}").exists():
            racers[kills].kill()
            kills += 1
            racers.append(_process(race, store, folder / f"worker-{len(racers)}"))
    for process in (*racers, watcher):
        process.join()
    return kills


def _process(work: Callable[[Store, Path], None], store: Store, said: Path) -> BaseProcess:
    process = CONTEXT.Process(target=work, args=(store, said), daemon=True)
    process.start()
    return process


def _judged(store: str, events: Sequence[LedgerEvent], folder: Path, kills: int) -> Outcome:
    by = {event.number: event.by for event in events}
    answers, told, lost = Counter[str](), set[int](), 0
    for said in folder.glob("worker-*"):
        for line in said.read_text().splitlines():
            what, _, number = line.partition(" ")
            answers[what] += 1
            if what == "event":
                told.add(int(number))
                lost += by.get(int(number)) != said.name
    untold = sum(event.by != "before" and event.number not in told for event in events)
    looks = Counter((folder / "looks").read_text().split())
    return Outcome(
        store, len(events), answers, kills, looks, lost, untold, _wrong_turns(events), rules.broken(events)[0]
    )


def _wrong_turns(events: Sequence[LedgerEvent]) -> int:
    """Events that those before them do not allow, or after which somebody else is champion than they say."""
    wrong, state = 0, rules.fold([])
    for event in events:
        try:
            state = rules.fold([event], state)
        except ReleaseError:
            wrong += 1
            continue
        says = {EventKind.PROMOTED: event.version, EventKind.ROLLED_BACK: event.evidence.get("back_to")}
        wrong += event.kind in says and state.champion != says[event.kind]
    return wrong


@contextmanager
def stores(folder: Path) -> Iterator[list[Store]]:
    """A SQLite file, and a PostgreSQL server where its programs are installed."""
    here = [Store("SQLite", str(folder / "state.db"))]
    if reason := servers.absent():
        print(reason)
        yield here
        return
    with servers.postgres() as server:
        yield [*here, Store("PostgreSQL", server.url())]


def main() -> None:
    """Prints the table of both stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="6 seconds a store instead of a minute")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="a file to keep each store's race in")
    asked = parser.parse_args()
    seconds = 6.0 if asked.quick else 60.0
    with tempfile.TemporaryDirectory(prefix="races-") as place, stores(Path(place)) as found:
        kept = Kept(asked.keep, len(found))
        outcomes = [
            Outcome.of(kept.part(f"{store.name}, {seconds:.0f} s", partial(raced, store, Path(place), seconds, number)))
            for number, store in enumerate(found)
        ]
    print(f"{WORKERS} processes, {seconds:.0f} s a store, {os.cpu_count()} cores\n")
    table(HEADERS, [outcome.row() for outcome in outcomes])
    faults = sum(outcome.faults for outcome in outcomes)
    all_raced = all(outcome.answers["second"] and outcome.kills for outcome in outcomes)
    goal = "on SQLite and PostgreSQL: no event lost, none out of line, one champion at each instant"
    report("promotion_races", faults, goal, faults == 0 and all_raced and len(outcomes) == 2)


if __name__ == "__main__":
    main()
