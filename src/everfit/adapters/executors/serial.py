"""The serial executor: one item after the other in this process. Extra: none. Config: `training.executor: serial`.

Limits: uses one core; meant for debugging and for very small data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class SerialExecutor:
    """Runs each item when its result is asked for."""

    def map(self, function: Callable[[S, A], B], items: Iterable[A], shared: S) -> Iterator[B]:
        """The results in the order of the items.

        >>> list(SerialExecutor().map(pow, [1, 2, 3], 2))
        [2, 4, 8]
        """
        return (function(shared, item) for item in items)
