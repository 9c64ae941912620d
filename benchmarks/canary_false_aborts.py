"""How often a canary is aborted though nothing is wrong, and how often and how soon when something is.

A canary by the default steps, 10% and 50% of the traffic, on a service with 0.5% errors and 0.5 points of margin,
looked at after every request; twice as many errors are therefore still allowed. Beside everfit's verdict, on the same
requests: a one-sided z-test (p < 0.05) of all requests so far at every minute, and "abort at the fifth error".

    python -m benchmarks.canary_false_aborts [--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Cell, report, table
from everfit.project.sections.release import Release, Verdict
from everfit.records.release import Action, ArmEvidence, ReleaseState
from everfit.rollout.verdict import judge

BASE = 0.005
TRUTHS = (1, 2, 5, 10)
REQUESTS = (100, 300, 1000)
RATES = (20, 200)
Z = 1.6449
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Step:
    """The requests of one step, in their order, as counts so far: requests and errors of champion and challenger."""

    counts: NDArray[np.int64]

    def at(self, index: int) -> tuple[ArmEvidence, ArmEvidence]:
        """What a look after that request sees."""
        n1, x1, n2, x2 = (int(count) for count in self.counts[index])
        return ArmEvidence(1, n1, x1, None), ArmEvidence(2, n2, x2, None)


def drawn(random: np.random.Generator, share: float, factor: int, requests: int) -> Step:
    """Traffic until both arms have their requests."""
    size = int(2 * requests / min(share, 1 - share)) + 500
    challenger = random.random(size) < share
    errors = random.random(size) < np.where(challenger, BASE * factor, BASE)
    counts = np.stack([~challenger, ~challenger & errors, challenger, challenger & errors], axis=1).cumsum(axis=0)
    last = int(np.argmax((counts[:, 0] >= requests) & (counts[:, 2] >= requests)))
    return Step(counts[: last + 1])


def everfit_aborts(steps: Sequence[Step], release: Release) -> int | None:
    """The request at which the verdict is to roll back, counted over the canary; None when it ends in promotion."""
    before = 0
    for number, step in enumerate(steps):
        state = ReleaseState(4, 1, None, None, 2, release.steps, number, BEGAN)
        # Between errors of the challenger the evidence against it only falls: those looks can only say `wait`.
        looks = [*np.flatnonzero(np.diff(step.counts[:, 3], prepend=0)), len(step.counts) - 1]
        for look in looks:
            verdict = judge(state, release, *step.at(int(look)), BEGAN + timedelta(minutes=1))
            if verdict.action is Action.ROLL_BACK:
                return before + int(look) + 1
        before += len(step.counts)
    return None


def whole(steps: Sequence[Step]) -> NDArray[np.int64]:
    """The counts over the canary, steps one after the other."""
    ends = np.cumsum([np.zeros(4, np.int64), *(step.counts[-1] for step in steps[:-1])], axis=0)
    return np.concatenate([step.counts + end for step, end in zip(steps, ends, strict=True)])


def z_test_aborts(counts: NDArray[np.int64], rate: int) -> int | None:
    seen = counts[rate - 1 :: rate]
    n1, x1, n2, x2 = (seen[:, i].astype(float) for i in range(4))
    pooled = (x1 + x2) / (n1 + n2)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (x2 / n2 - x1 / n1) / np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    found = np.flatnonzero(z > Z)
    return int(found[0] + 1) * rate if found.size else None


def fifth_error_aborts(counts: NDArray[np.int64]) -> int | None:
    found = np.flatnonzero(counts[:, 3] >= 5)
    return int(found[0]) + 1 if found.size else None


def simulated(runs: int, factor: int, requests: int) -> dict[str, list[int | None]]:
    """For each rule, the request at which each canary was aborted."""
    random = np.random.default_rng([factor, requests])
    release = Release(verdict=Verdict(requests=requests))
    aborts: dict[str, list[int | None]] = {"everfit": [], "fifth error": [], **{f"z-test {r}": [] for r in RATES}}
    for _ in range(runs):
        steps = [drawn(random, share, factor, requests) for share in release.steps]
        counts = whole(steps)
        aborts["everfit"].append(everfit_aborts(steps, release))
        aborts["fifth error"].append(fifth_error_aborts(counts))
        for rate in RATES:
            aborts[f"z-test {rate}"].append(z_test_aborts(counts, rate))
    return aborts


def told(aborts: list[int | None], rate: int) -> str:
    """The share aborted, and the minutes until then in the median."""
    at = [abort for abort in aborts if abort is not None]
    return f"{len(at) / len(aborts):.3f}" + (f" @ {np.median(at) / rate:.0f} min" if at else "")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer canaries: seconds instead of minutes")
    runs = 100 if parser.parse_args(arguments).quick else 1000
    aborts: dict[tuple[int, int], Any] = {(f, n): simulated(runs, f, n) for f, n in product(TRUTHS, REQUESTS)}
    rows: list[list[Cell]] = [
        [f"{rate}/min", needed, f"{factor}x", *(told(aborts[factor, needed][rule], rate) for rule in rules)]
        for rate, needed, factor in product(RATES, REQUESTS, TRUTHS)
        for rules in [("everfit", f"z-test {rate}", "fifth error")]
    ]
    print(f"share of {runs} canaries aborted @ median time; 1x and 2x errors are allowed, 5x and 10x are not\n")
    table(["traffic", "requests a step", "errors", "everfit", "z-test at each minute", "fifth error"], rows)
    harmless = [aborts[factor, needed]["everfit"] for factor, needed in product((1, 2), REQUESTS)]
    worst = max(sum(abort is not None for abort in found) / runs for found in harmless)
    report("canary_false_aborts", worst, "at most 0.05 of harmless canaries aborted", worst <= 0.05)


if __name__ == "__main__":
    main()
