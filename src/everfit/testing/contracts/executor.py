"""What every Executor must do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from everfit.errors import EverfitError
from everfit.ports import Executor


class ExecutorContract:
    """A function over many items, elsewhere or at once, with the results of a plain `map`."""

    def make(self, folder: Path) -> Executor:
        """An executor; the folder is there for what it may want to write."""
        raise NotImplementedError

    def test_results_come_in_the_order_of_the_items(self, tmp_path: Path) -> None:
        items = range(20, 0, -1)
        assert list(self.make(tmp_path).map(_work, items, 3)) == [_work(3, item) for item in items]

    def test_items_may_come_one_after_the_other(self, tmp_path: Path) -> None:
        taken: list[int] = []

        def items() -> Iterator[int]:
            for item in range(100):
                taken.append(item)
                yield item

        results = self.make(tmp_path).map(_work, items(), 3)
        assert next(results) == _work(3, 0)
        assert len(taken) < 100
        assert list(results) == [_work(3, item) for item in range(1, 100)]

    def test_results_are_an_iterator(self, tmp_path: Path) -> None:
        results = self.make(tmp_path).map(_work, [1, 2], 0)
        assert isinstance(results, Iterator)
        assert list(results) == [_work(0, 1), _work(0, 2)]

    def test_no_items_give_no_results(self, tmp_path: Path) -> None:
        assert list(self.make(tmp_path).map(_work, [], 0)) == []
        assert list(self.make(tmp_path).map(_work, iter(()), 0)) == []

    def test_an_executor_can_be_used_again(self, tmp_path: Path) -> None:
        executor = self.make(tmp_path)
        assert [list(executor.map(_work, [n], n)) for n in (1, 2)] == [[_work(1, 1)], [_work(2, 2)]]

    def test_large_arrays_are_shared_whole(self, tmp_path: Path) -> None:
        shared = np.arange(300_000, dtype=np.float64)
        found = list(self.make(tmp_path).map(_slice, [0, 100_000, 200_000], shared))
        assert np.array_equal(np.concatenate(found), shared)

    def test_what_the_function_raises_reaches_the_caller_with_its_words(self, tmp_path: Path) -> None:
        with pytest.raises((EverfitError, ValueError), match="7 is refused"):
            list(self.make(tmp_path).map(_fail_at, [1, 7, 2], 7))

    def test_an_executor_works_after_a_failure(self, tmp_path: Path) -> None:
        executor = self.make(tmp_path)
        with pytest.raises((EverfitError, ValueError), match="7 is refused"):
            list(executor.map(_fail_at, [7], 7))
        assert list(executor.map(_work, [3], 0)) == [_work(0, 3)]


def _work(shared: int, item: int) -> int:
    return shared + sum(i * i for i in range(item * 1000))


def _slice(shared: NDArray[np.float64], start: int) -> NDArray[np.float64]:
    return shared[start : start + 100_000]


def _fail_at(shared: int, item: int) -> int:
    if item == shared:
        raise ValueError(f"{item} is refused")
    return item
