"""What every Executor must do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from everfit.errors import EverfitError
from everfit.ports import Executor


class ExecutorContract:
    """A function over many items, elsewhere or at once, with the results of a plain `map`."""

    def make(self, folder: Path) -> Executor:
        """An executor; the folder is there for what it may want to write."""
        raise NotImplementedError

    def test_results_come_in_the_order_of_the_items(self, tmp_path: Path) -> None:
        assert list(self.make(tmp_path).map(_work, range(20, 0, -1), None)) == [
            _work(None, i) for i in range(20, 0, -1)
        ]

    def test_results_are_an_iterator(self, tmp_path: Path) -> None:
        results = self.make(tmp_path).map(_work, [1, 2], None)
        assert isinstance(results, Iterator)
        assert list(results) == [_work(None, 1), _work(None, 2)]

    def test_no_items_give_no_results(self, tmp_path: Path) -> None:
        assert list(self.make(tmp_path).map(_work, [], None)) == []

    def test_what_is_shared_reaches_every_call(self, tmp_path: Path) -> None:
        assert list(self.make(tmp_path).map(_plus, [1, 2], 10)) == [11, 12]

    def test_an_executor_can_be_used_again(self, tmp_path: Path) -> None:
        executor = self.make(tmp_path)
        assert [list(executor.map(_work, [n], None)) for n in (1, 2)] == [[_work(None, 1)], [_work(None, 2)]]

    def test_large_items_and_results_travel_whole(self, tmp_path: Path) -> None:
        items = [bytes([i, 1]) * 500_000 for i in range(3)]
        assert list(self.make(tmp_path).map(_reverse, items, None)) == [item[::-1] for item in items]

    def test_what_the_function_raises_reaches_the_caller_with_its_words(self, tmp_path: Path) -> None:
        results = self.make(tmp_path).map(_fail_at_seven, [1, 7, 2], None)
        assert next(results) == 1
        with pytest.raises((EverfitError, ValueError), match="seven is refused"):
            next(results)

    def test_an_executor_works_after_a_failure(self, tmp_path: Path) -> None:
        executor = self.make(tmp_path)
        with pytest.raises((EverfitError, ValueError), match="seven is refused"):
            list(executor.map(_fail_at_seven, [7], None))
        assert list(executor.map(_work, [3], None)) == [_work(None, 3)]


def _work(_: None, item: int) -> int:
    return sum(i * i for i in range(item * 1000))


def _plus(shared: int, item: int) -> int:
    return shared + item


def _reverse(_: None, item: bytes) -> bytes:
    return item[::-1]


def _fail_at_seven(_: None, item: int) -> int:
    if item == 7:
        raise ValueError("seven is refused")
    return item
