from __future__ import annotations

import subprocess
import sys

# In a process of its own, for the limit stays.
SCRIPT = """
from concurrent.futures import ThreadPoolExecutor

import numpy
import scipy.linalg
from threadpoolctl import threadpool_info

from everfit.training.threads import one_thread


def blas():
    with one_thread():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


found = [blas()]
for _ in range(2):
    with ThreadPoolExecutor(1) as pool:
        found += [pool.submit(blas).result(), blas()]
print(found == [{1}] * 5, found)
"""


def test_linear_algebra_has_one_thread_in_whatever_thread_a_fit_runs() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("True"), done.stdout
