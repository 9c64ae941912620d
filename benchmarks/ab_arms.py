"""How often an A/B test of several challengers stops one that is no worse, when none of them is, and finds one that is.

Every arm gets 100 requests a window, 0.5% of them fail; sixty windows, looked at after each, nothing worse allowed. A
test is wrong when it stops any of its challengers. Once with the chance of error shared among the challengers, as
releases do it, and once with each judged as if it were alone.

    python -m benchmarks.ab_arms [--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from benchmarks.report import Cell, report, table
from everfit.rollout.criteria import Errors
from everfit.rollout.findings import Levels, against
from everfit.rollout.tally import ArmTally, StepTally

WINDOWS = 60
REQUESTS = 100
BASE = 0.005
ALPHA = 0.05
CHALLENGERS = (1, 3, 9)
NONE = np.zeros(0, np.int64)


def stopped(control: NDArray[np.int64], challenger: NDArray[np.int64], alpha: float) -> int | None:
    """The window at which a challenger with so many failures (windows,) is stopped."""
    levels = Levels(alpha, alpha, 1)
    for window in range(WINDOWS):
        arms = (_arm(int(counts[: window + 1].sum()), (window + 1) * REQUESTS) for counts in (control, challenger))
        if against(Errors(), [StepTally(0.5, *arms)], levels)(0.0):
            return window + 1
    return None


def _arm(failures: int, requests: int) -> ArmTally:
    return ArmTally(requests, failures, failures, NONE, NONE, NONE)


def tests(challengers: int, runs: int) -> tuple[int, int, list[float]]:
    """Of so many tests: those wrong with the chance shared and with it not, and when one that fails five times as often
    is stopped in the first."""
    random, shared, unshared, found = np.random.default_rng(challengers), 0, 0, list[float]()
    for _ in range(runs):
        control, *others = random.binomial(REQUESTS, BASE, (1 + challengers, WINDOWS))
        shared += any(stopped(control, one, ALPHA / challengers) for one in others)
        unshared += any(stopped(control, one, ALPHA) for one in others)
        found.append(stopped(control, random.binomial(REQUESTS, 5 * BASE, WINDOWS), ALPHA / challengers) or np.inf)
    return shared, unshared, found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 tests of each size in place of 400")
    runs = 60 if parser.parse_args(arguments).quick else 400
    rows: list[list[Cell]] = []
    worst, all_kept = 0.0, True
    for challengers in CHALLENGERS:
        shared, unshared, found = tests(challengers, runs)
        rows.append([challengers + 1, runs, shared / runs, unshared / runs, float(np.median(found))])
        worst = max(worst, shared / runs)
        all_kept = all_kept and shared <= scipy.stats.binom.isf(0.001, runs, ALPHA)
    table(["arms", "tests", "wrong", "wrong if each alone", "5x errors stopped at window (median)"], rows)
    report("ab_arms", round(worst, 4), "a test of any size stops one that is no worse in at most 5%", all_kept)


if __name__ == "__main__":
    main()
