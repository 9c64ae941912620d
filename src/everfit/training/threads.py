"""Arithmetic in one thread, so that sums are taken in the same order on every machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

_lock = threading.Lock()
_within: list[threadpool_limits] = []  # the limit that is set, once for each who is within it


@contextmanager
def one_thread(openmp: bool = False) -> Iterator[None]:
    """Linear algebra in one thread, and with `openmp` OpenMP too.

    Linear algebra has one limit for the whole process: it is set by who comes first and lifted by who leaves last, or
    one fit that ends would give back the threads in the middle of another. OpenMP has one for each thread.
    """
    with _lock:
        _within.append(_within[0] if _within else threadpool_limits(limits=1, user_api="blas"))
    try:
        with threadpool_limits(limits=1, user_api="openmp") if openmp else nullcontext():
            yield
    finally:
        with _lock:
            limit = _within.pop()
            if not _within:
                limit.restore_original_limits()
