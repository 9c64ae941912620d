"""Arithmetic in one thread, so that sums are taken in the same order on every machine and in every run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # ships no types


@contextmanager
def one_thread(openmp: bool = False) -> Iterator[None]:
    """Linear algebra in one thread, and with `openmp` OpenMP too.

    The limit on linear algebra holds for the whole process from then on. Lifted after a fit, it would give its threads
    back in the middle of another; and once lifted, OpenBLAS (seen with 0.3.31) does not take it from another thread
    again, so that the same fit would round otherwise in another thread. OpenMP has a limit of its own in each thread.
    """
    pools = _pools(len(sys.modules))
    pools.limit(limits=1, user_api="blas")
    with pools.limit(limits=1, user_api="openmp") if openmp else nullcontext():
        yield


@lru_cache(maxsize=1)
def _pools(_modules: int) -> ThreadpoolController:
    """The libraries with threads, looked for again once more modules are loaded: it takes longer than a small fit."""
    return ThreadpoolController()
