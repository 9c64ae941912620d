"""The process executor: joblib's loky workers on this machine. Extra: none (joblib comes with scikit-learn).
Config: `training.executor: processes`, `training.workers` (0: one a core).

Large arrays in `shared` are memory-mapped once for all workers. Each worker computes in one thread, so that workers do
not fight for cores and results do not depend on how many there are. Limits: one map at a time in a process, a second
thread waits for its turn; what the function returns and raises must be picklable.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from everfit.adapters.executors.processes_worker import call, watch
from everfit.errors import StepFailed

A = TypeVar("A")
B = TypeVar("B")
S = TypeVar("S")

_MAPPED_BYTES = 100_000
_IDLE_SECONDS = 60
_LOT = 4  # items a worker that are taken at a time where there may be too many to hold

_lock = threading.Lock()
_holder: list[int] = []  # the thread whose turn it is
_used = [float("-inf")]  # when workers were last at work


@contextmanager
def _turn() -> Iterator[None]:
    if threading.get_ident() in _holder:
        raise RuntimeError("use up or close the results of the last map before starting another one")
    with _lock:
        _holder.append(threading.get_ident())
        try:
            yield
        finally:
            _holder.clear()


@dataclass(frozen=True, slots=True)
class ProcessesExecutor:
    """Runs items in `workers` processes, which stay for the next map and end when idle or when this process is gone.

    Workers first import what they compute with: while there are none, items run here as long as the rest of them would
    take less than `patience` seconds of processor, judged by those that have run."""

    workers: int = 0
    patience: float = 0.0

    def map(self, function: Callable[[S, A], B], items: Iterable[A], shared: S) -> Iterator[B]:
        """The results in the order of the items; this thread's turn ends when the iterator is used up or closed. Items
        that are no sequence are taken some a worker at a time.

        Raises RuntimeError when this thread still holds an iterator that is neither, StepFailed where a worker dies.
        """
        if not isinstance(items, Sequence):
            return self._in_lots(function, iter(items), shared)
        return self._run(function, items, shared) if items else iter(())

    def _in_lots(self, function: Callable[[S, A], B], items: Iterator[A], shared: S) -> Iterator[B]:
        # joblib would take them in a thread of its own, and wait for ever where that raises.
        while lot := list(islice(items, _LOT * (self.workers or os.cpu_count() or 1))):
            yield from self._run(function, lot, shared)

    def _run(self, function: Callable[[S, A], B], items: Sequence[A], shared: S) -> Iterator[B]:
        done, spent, are_none = 0, 0.0, time.monotonic() - _used[0] > _IDLE_SECONDS
        while are_none and done < len(items) and spent * (len(items) - done) < self.patience * (done or 1):
            began = time.thread_time()
            result = function(shared, items[done])
            done, spent = done + 1, spent + time.thread_time() - began
            yield result
        if done < len(items):
            yield from self._elsewhere(function, items[done:], shared)

    def _elsewhere(self, function: Callable[[S, A], B], items: Sequence[A], shared: S) -> Iterator[B]:
        from joblib import Parallel, cpu_count, delayed

        with _turn():
            parallel = Parallel(
                n_jobs=min(self.workers or cpu_count(), len(items)),
                backend="loky",
                return_as="generator",
                max_nbytes=_MAPPED_BYTES,
                inner_max_num_threads=1,
                idle_worker_timeout=_IDLE_SECONDS,
                initializer=watch,
                initargs=(os.getpid(),),
            )
            path = tuple(sys.path)
            results = parallel(delayed(call)(path, function, shared, item) for item in items)
            try:
                for result in results:  # noqa: UP028  `yield from` would close them with joblib's warning
                    yield result
            except BrokenExecutor as error:
                raise StepFailed(
                    "a worker process ended in the middle of its work, as one does that is given no more memory",
                    where="executor processes",
                    fix="run again with fewer `training.workers`, or with the executor `serial`",
                ) from error
            finally:
                _close(results)
                _used[:] = [time.monotonic()]


def _close(results: Any) -> None:
    with warnings.catch_warnings():  # whoever stopped reading meant it
        warnings.simplefilter("ignore")
        results.close()
