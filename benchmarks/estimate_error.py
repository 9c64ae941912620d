"""What the estimate of performance without labels is worth: its error against the truth, where it sees and where not.

A model that is calibrated on the rows it was trained on scores windows of 2,000 rows whose truth is known here. The
estimate is the mean confidence of the calibrated scores, which for accuracy is what NannyML's CBPE computes, less what
it was off by on labelled reference rows. Beside it: taking the test's accuracy to hold for ever (accuracy lost).

- steady: nothing changes;
- covariate: rows move, step by step, to where the model is less or more sure; the relation stays: it should see that;
- concept: the relation turns, the rows stay: it cannot see that, and the benchmark says by how much it is wrong.

    python -m benchmarks.estimate_error [--quick] [--seed N]
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import report, table
from everfit.monitoring.estimate import impact
from everfit.records.table import Task

ROWS, REFERENCE = 2_000, 20_000
Floats = NDArray[np.float64]


def truth(x: Floats, turned: float) -> Floats:
    """The chance of the positive class; `turned` 1 is the opposite of the second column's effect."""
    odds = 1.5 * x[:, 0] - 0.3 * x[:, 0] ** 2 + 1.2 * (1 - 2 * turned) * x[:, 1] - 0.2
    return 1 / (1 + np.exp(-odds))


def score(x: Floats) -> Floats:
    """The model: it knows the relation but for its curve far out, where training had few rows."""
    found: Floats = truth(np.column_stack([np.clip(x[:, 0], -2.5, 2.5), x[:, 1]]), 0.0)
    return found


def window(random: np.random.Generator, rows: int, by: float, turned: float) -> tuple[Floats, NDArray[np.int64]]:
    """Scores and truths of rows whose first column has moved by that many standard deviations."""
    x = np.column_stack([random.normal(by, 1, rows), random.normal(0, 1, rows)])
    return score(x), (random.random(rows) < truth(x, turned)).astype(np.int64)


def accuracy(scores: Floats, y: NDArray[np.int64]) -> float:
    return float(np.mean((scores >= 0.5) == y))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer windows")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    reference, labels = window(random, REFERENCE, 0.0, 0.0)
    expected = accuracy(reference, labels)
    cases = [("steady", 0.0, 0.0)]
    cases += [("covariate", by, 0.0) for by in (-1.5, -0.75, 0.75, 1.5, 2.0)]
    cases += [("concept", 0.0, turned) for turned in (0.25, 0.5, 1.0)]
    rows: list[list[str | int | float]] = []
    worst = {"steady": 0.0, "covariate": 0.0, "concept": 0.0}
    naive = 0.0
    for name, by, turned in cases:
        errors, falls = [], []
        for _ in range(20 if options.quick else 200):
            scores, y = window(random, ROWS, by, turned)
            found = impact(Task.BINARY, reference, scores)
            if found is None:
                raise AssertionError("there are scores on both sides")
            actual = accuracy(scores, y)
            # The reference's own calibration error is known from its labels, and taken off.
            errors.append(found.current + (expected - found.reference) - actual)
            falls.append(expected - actual)
        figures = (np.mean(falls), np.mean(np.abs(errors)), np.mean(errors))
        rows.append([name, by, turned, *(round(100 * float(figure), 2) for figure in figures)])
        worst[name] = max(worst[name], float(np.mean(np.abs(errors))))
        if name == "covariate":
            naive = max(naive, abs(float(np.mean(falls))))
    heads = ["change", "moved, sd", "relation turned", "accuracy lost, points", "error of the estimate", "its bias"]
    table(heads, rows)
    print("\nIt cannot see that the relation has turned: only labels show it.")
    noise = np.sqrt(expected * (1 - expected) / ROWS)
    holds = worst["steady"] <= 1.2 * noise and worst["covariate"] <= max(2 * noise, naive / 3)
    goal = "steady: no worse than sampling; covariate: within 2 standard errors, or a third of no estimate's error"
    report("estimate_error", round(100 * worst["covariate"], 2), goal, holds)


if __name__ == "__main__":
    main()
