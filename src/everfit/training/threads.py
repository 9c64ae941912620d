"""Arithmetic in one thread, so that sums are taken in the same order on every machine and in every run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types


@contextmanager
def one_thread(openmp: bool = False) -> Iterator[None]:
    """Linear algebra in one thread, and with `openmp` OpenMP too.

    The limit on linear algebra holds for the whole process from then on. Lifted after a fit, it would give its threads
    back in the middle of another; and once lifted, OpenBLAS (seen with 0.3.31) does not take it from another thread
    again, so that the same fit would round otherwise in another thread. OpenMP has a limit of its own in each thread.
    """
    threadpool_limits(limits=1, user_api="blas")
    with threadpool_limits(limits=1, user_api="openmp") if openmp else nullcontext():
        yield
