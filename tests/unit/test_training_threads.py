from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np  # noqa: F401  brings the linear algebra whose threads are limited
from threadpoolctl import threadpool_info  # type: ignore[import-untyped]  # ships no types

from everfit.training.threads import one_thread


def blas() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_a_fit_that_ends_does_not_give_back_the_threads_of_another() -> None:
    before, first_within, second_left = blas(), threading.Event(), threading.Event()

    def first() -> set[int]:
        with one_thread():
            first_within.set()
            second_left.wait(30)
            return blas()

    def second() -> None:
        first_within.wait(30)
        with one_thread():
            pass
        second_left.set()

    with ThreadPoolExecutor(2) as pool:
        found, _ = pool.submit(first), pool.submit(second)
        assert found.result() == {1}
    assert blas() == before
