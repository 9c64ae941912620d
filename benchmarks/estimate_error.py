"""What the estimate of performance without labels is worth: its error against the truth, where it sees and where not.

A model that is calibrated on the rows it was trained on scores windows of 2,000 rows whose truth is known here. The
estimate is the mean confidence of the calibrated scores, which for accuracy is what NannyML's CBPE computes, less what
it was off by on labelled reference rows. Beside it: taking the test's accuracy to hold for ever (accuracy lost).

- steady: nothing changes;
- covariate: rows move, step by step, to where the model is less or more sure; the relation stays: it should see that;
- concept: the relation turns, the rows stay: it cannot see that, and the benchmark says by how much it is wrong.

Then the same for numbers. A straight line is fitted to a relation that bends, with noise that grows with another
column; a forest learns its absolute errors out of fold, and foretells the mean of windows. "Far" moves rows to where
training had none; the forest expects there what it saw at the edge.

    python -m benchmarks.estimate_error [--quick] [--seed N]
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import report, table
from everfit.monitoring.estimate import impact, loss_impact, scaled
from everfit.records.profile import LossModel
from everfit.records.table import Task
from everfit.training import residuals

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


def numbers(
    random: np.random.Generator, rows: int, bend: float = 0.0, noise: float = 0.0, turned: float = 0.0
) -> tuple[Floats, Floats]:
    """Rows whose columns have moved by so many standard deviations, and their truth."""
    x = np.column_stack([random.normal(bend, 1, rows), random.normal(noise, 1, rows)])
    spread = 0.5 + 0.5 * np.clip(np.abs(x[:, 1]), 0, 3)
    return x, (2 - 3 * turned) * x[:, 0] + 0.4 * x[:, 0] ** 2 + spread * random.normal(size=rows)


def line(x: Floats, y: Floats) -> Floats:
    """The weights of a straight line through the rows."""
    return np.asarray(np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)[0])


def along(weights: Floats, x: Floats) -> Floats:
    return np.asarray(np.column_stack([np.ones(len(x)), x]) @ weights)


def foretelling(random: np.random.Generator) -> tuple[Floats, LossModel]:
    """The line, and the forest of its errors, as training makes them."""
    x, y = numbers(random, 5 * ROWS)
    held = np.arange(len(x)) % 5
    out = np.empty(len(x))
    for fold in range(5):
        out[held == fold] = along(line(x[held != fold], y[held != fold]), x[held == fold])
    weights = line(x, y)
    found = residuals.fit(np.column_stack([x, out]), y - out, seed=1)
    if found is None:
        raise AssertionError("there are rows enough")
    x, y = numbers(random, ROWS)
    return weights, scaled(found, np.column_stack([x, along(weights, x)]), y - along(weights, x))


NUMBERS: tuple[tuple[str, dict[str, float]], ...] = (
    ("steady", {}),
    ("covariate", {"noise": 0.75}),
    ("covariate", {"noise": 1.5}),
    ("covariate", {"bend": 1.0}),
    ("covariate", {"bend": -1.0, "noise": 1.0}),
    ("far", {"bend": 4.0}),
    ("concept", {"turned": 0.5}),
)


def of_numbers(random: np.random.Generator, windows: int) -> tuple[bool, list[list[str | int | float]]]:
    weights, model = foretelling(random)
    rows: list[list[str | int | float]] = []
    holds = True
    for name, moved in NUMBERS:
        errors, rises = [], []
        for _ in range(windows):
            x, y = numbers(random, ROWS, **moved)
            actual = float(np.abs(y - along(weights, x)).mean())
            found = loss_impact(model, np.column_stack([x, along(weights, x)]), "mae")
            if found is None:
                raise AssertionError("there are rows")
            errors.append(found.current / actual - 1)
            rises.append(actual / found.reference - 1)
        off, risen = float(np.mean(np.abs(errors))), float(np.mean(rises))
        what = ", ".join(f"{column} by {by:g}" for column, by in moved.items()) or "nothing"
        rows.append([name, what, round(100 * risen, 1), round(100 * off, 1), round(100 * float(np.mean(errors)), 1)])
        if name in ("steady", "covariate"):
            holds &= off <= max(0.05, abs(risen) / 3)
    return holds, rows


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
    print()
    numbers_hold, found_rows = of_numbers(random, 20 if options.quick else 200)
    heads = ["change of numbers", "moved, sd", "error risen, %", "error of the estimate, %", "its bias, %"]
    table(heads, found_rows)
    print("\nNeither can see that the relation has turned, nor how a model fares far from its training: labels can.")
    noise = np.sqrt(expected * (1 - expected) / ROWS)
    holds = worst["steady"] <= 1.2 * noise and worst["covariate"] <= max(2 * noise, naive / 3)
    holds &= numbers_hold
    goal = (
        "steady: no worse than sampling; covariate: within 2 standard errors, or a third of no estimate's error; "
        "numbers: within 5%, or a third"
    )
    report("estimate_error", round(100 * worst["covariate"], 2), goal, holds)


if __name__ == "__main__":
    main()
