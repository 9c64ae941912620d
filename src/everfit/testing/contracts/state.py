"""What every StateStore must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import pytest

from everfit.errors import Conflict
from everfit.ports import StateStore
from everfit.testing.contracts.processes import Make, killed, together

_PROCESSES = 4
_APPENDS = 25


class StateStoreRaces:
    """Between threads and processes nothing is lost, and of racing writers exactly one wins."""

    def make(self, folder: Path) -> StateStore:
        """Opens the store in the folder."""
        raise NotImplementedError

    def test_processes_that_append_at_once_lose_nothing_and_leave_no_gap(self, tmp_path: Path) -> None:
        numbers = together(_append_many, self.make, tmp_path, _PROCESSES)
        found = self.make(tmp_path).read("s")
        assert [number for number, _ in found] == list(range(1, _PROCESSES * _APPENDS + 1))
        written = {f"{process}-{i}".encode() for process in range(_PROCESSES) for i in range(_APPENDS)}
        assert {document for _, document in found} == written
        assert sorted(chain.from_iterable(numbers)) == [number for number, _ in found]

    def test_of_processes_that_race_exactly_one_wins_each_round(self, tmp_path: Path) -> None:
        wins = together(_race, self.make, tmp_path, _PROCESSES)
        assert sorted(chain.from_iterable(wins)) == list(range(_APPENDS))
        assert [number for number, _ in self.make(tmp_path).read("s")] == list(range(1, _APPENDS + 1))

    def test_threads_share_one_store(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        with ThreadPoolExecutor(8) as pool:
            numbers = list(pool.map(lambda i: store.append("s", str(i).encode()), range(40)))
        assert sorted(numbers) == list(range(1, 41))
        found = dict(store.read("s"))
        assert [found[number] for number in numbers] == [str(i).encode() for i in range(40)]

    @pytest.mark.parametrize("seed", range(3))
    def test_what_was_appended_survives_kill_9(self, tmp_path: Path, seed: int) -> None:
        random = Random(seed)
        acknowledged = killed(_append_on, self.make, tmp_path, random.randrange(1, 40), random.random() / 50)
        store = self.make(tmp_path)
        found = store.read("s")
        assert found == [(number, _document(number)) for number in range(1, len(found) + 1)]
        assert acknowledged == list(range(1, len(acknowledged) + 1))
        assert len(found) - len(acknowledged) in (0, 1)
        assert store.append("s", b"{}", expect=len(found)) == len(found) + 1


class StateStoreContract(StateStoreRaces):
    """Streams of documents, numbered from 1, appended by compare-and-set."""

    def test_numbers_count_from_1_in_each_stream(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        assert [store.append("a", b"1"), store.append("b", b"2"), store.append("a", b"3")] == [1, 1, 2]
        assert store.read("a") == [(1, b"1"), (2, b"3")]
        assert store.read("b") == [(1, b"2")]

    def test_read_after_a_number_gives_only_newer_documents(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        for text in (b"1", b"2", b"3"):
            store.append("a", text)
        assert store.read("a", after=1) == [(2, b"2"), (3, b"3")]
        assert store.read("a", after=3) == []

    def test_unknown_stream_is_empty(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        assert store.read("none") == []
        assert store.last("none") is None

    def test_last_is_the_newest_of_its_own_stream(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        for number in range(12):
            store.append("a", str(number).encode())
        store.append("b", b"other")
        assert store.last("a") == (12, b"11")

    def test_expect_appends_only_to_a_stream_of_that_length(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        assert store.append("a", b"1", expect=0) == 1
        for wrong in (0, 2):
            with pytest.raises(Conflict):
                store.append("a", b"2", expect=wrong)
        assert store.append("a", b"2", expect=1) == 2
        assert store.read("a") == [(1, b"1"), (2, b"2")]

    def test_documents_come_back_byte_for_byte(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        documents = ['{"name":"Zoë \\u0000 \U0001f642"}'.encode(), b"[" + b"1," * 100_000 + b"1]"]
        for document in documents:
            store.append("a", document)
        assert [document for _, document in store.read("a")] == documents

    def test_what_was_appended_is_there_after_opening_again(self, tmp_path: Path) -> None:
        self.make(tmp_path).append("a", b"1")
        assert self.make(tmp_path).last("a") == (1, b"1")

    def test_stream_names_may_hold_any_text(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        names = ["runs/2026", "a'b", 'a"b', "Ä b", "../x", "%"]
        for name in names:
            store.append(name, name.encode())
        assert [store.last(name) for name in names] == [(1, name.encode()) for name in names]


def _document(number: int) -> bytes:
    return f'{{"number":{number},"text":"{"x" * (number % 7) * 1000}"}}'.encode()


def _append_many(make: Make, folder: Path, process: int, pipe: Connection) -> None:
    pipe.send(process)
    pipe.recv()
    store = make(folder)
    pipe.send([store.append("s", f"{process}-{i}".encode()) for i in range(_APPENDS)])


def _race(make: Make, folder: Path, process: int, pipe: Connection) -> None:
    pipe.send(process)
    pipe.recv()
    store = make(folder)
    pipe.send([number for number in range(_APPENDS) if _wins(store, number, str(process).encode())])


def _wins(store: StateStore, number: int, document: bytes) -> bool:
    try:
        return store.append("s", document, expect=number) == number + 1
    except Conflict:
        return False


def _append_on(make: Make, folder: Path, _: int, pipe: Connection) -> None:
    store, number = make(folder), 0
    while True:
        number = store.append("s", _document(number + 1))
        pipe.send(number)
