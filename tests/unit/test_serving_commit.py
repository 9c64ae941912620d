"""Group commit: one append for all that is ready, each told of its own, and nobody told before it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

import pytest
from tests.unit.serving_models import MemoryLog

from everfit.errors import StorageError
from everfit.records.prediction import Logged, PredictionRecord
from everfit.serving.commit import GroupCommit


@dataclass
class Counting(MemoryLog):
    """A log that remembers how its appends were."""

    appends: list[int] = field(default_factory=list)
    go_on: Event = field(default_factory=Event)
    error: Exception | None = None

    def append(self, records: Sequence[Logged]) -> None:
        self.go_on.wait(20)
        if self.error is not None:
            raise self.error
        self.appends.append(len(records))
        super().append(records)


def record(number: int) -> PredictionRecord:
    return PredictionRecord(str(number), datetime.now(UTC), None, {}, {}, "champion", 1, 0.5, "No", 0.0)


@pytest.fixture
def log() -> Counting:
    made = Counting()
    made.go_on.set()
    return made


def test_what_is_ready_at_once_is_one_append_in_order(log: Counting) -> None:
    async def many() -> None:
        commit = GroupCommit(log)
        await asyncio.gather(*(commit.append([record(2 * i), record(2 * i + 1)]) for i in range(10)))

    asyncio.run(many())
    assert log.appends == [20]
    assert [one.id for one in log.records] == [str(i) for i in range(20)]


def test_one_after_the_other_is_an_append_each(log: Counting) -> None:
    async def each() -> None:
        commit = GroupCommit(log)
        for i in range(3):
            await commit.append([record(i)])
            assert len(log.records) == i + 1

    asyncio.run(each())
    assert log.appends == [1, 1, 1]


def test_an_error_is_told_to_all_of_the_group_and_to_nobody_after(log: Counting) -> None:
    async def failing() -> list[BaseException | None]:
        commit, log.error = GroupCommit(log), StorageError("full")
        told = await asyncio.gather(*(commit.append([record(i)]) for i in range(3)), return_exceptions=True)
        log.error = None
        await commit.append([record(9)])
        return told

    assert [str(error) for error in asyncio.run(failing())] == ["full"] * 3
    assert [one.id for one in log.records] == ["9"]


def test_a_caller_who_leaves_takes_nobody_along(log: Counting) -> None:
    async def leaving() -> None:
        commit = GroupCommit(log)
        tasks = [asyncio.create_task(commit.append([record(i)])) for i in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(tasks[0], tasks[2])
        assert tasks[1].cancelled()

    asyncio.run(leaving())
    assert len(log.records) == 3


def test_while_the_disk_is_waited_for_the_next_group_gathers(log: Counting) -> None:
    async def waiting() -> None:
        log.go_on.clear()
        commit = GroupCommit(log, waits=True)
        first = asyncio.create_task(commit.append([record(0)]))
        while commit.waiting == 0 and not first.done():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        others = [asyncio.create_task(commit.append([record(i)])) for i in (1, 2)]
        while commit.waiting < 2:
            await asyncio.sleep(0)
        log.go_on.set()
        await asyncio.gather(first, *others)

    asyncio.run(waiting())
    assert log.appends == [1, 2]
