"""Rows until a stream's drift alarm: false ones on streams that do not change, and the delay on streams that do.

Each stream has a reference of 20,000 rows and then its own; one column of each shape at a time, as the detector sees
it. Beside it: Kolmogorov-Smirnov against the reference, tested again every 1,000 rows at p < .05 on those 1,000 rows.

    python -m benchmarks.stream_detection [--quick] [--seed N]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from benchmarks.report import report, table
from everfit.monitoring.profile import profile
from everfit.monitoring.stream import watch
from everfit.records.profile import Profile
from everfit.records.table import Kind
from everfit.records.watch import StreamState

RUN_LENGTH, TOLERANCE, REFERENCE, EVERY = 1e6, 0.0025, 20_000, 1_000
Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]

SHAPES: dict[str, tuple[Draw, float]] = {
    "normal": (lambda g, n: g.normal(size=n), 1.0),
    "lognormal": (lambda g, n: g.lognormal(size=n), 2.16),
    "counts": (lambda g, n: g.poisson(4, n).astype(np.float64), 2.0),
}
CHANGES = (("+.25 sd", 0.25), ("+.1 sd", 0.1))


def one(values: NDArray[np.float64]) -> Profile:
    return profile({"x": values}, {"x": Kind.NUMERIC}, np.zeros(1), "roc_auc", 0.8, 1)


def detected(known: Profile, stream: NDArray[np.float64]) -> int | None:
    found = watch(known, {"x": pl.Series("x", stream)}, StreamState(1), RUN_LENGTH, TOLERANCE)[1]
    return found[0].row + 1 if found else None


def retested(then: NDArray[np.float64], stream: NDArray[np.float64]) -> int | None:
    for end in range(EVERY, len(stream) + 1, EVERY):
        if stats.ks_2samp(then, stream[end - EVERY : end], method="asymp").pvalue < 0.05:
            return end
    return None


def categorical(generator: np.random.Generator, rows: int, points: float) -> int | None:
    """Rows until three points more of one of four levels, or an empty value, are found; None if they are not."""
    levels = np.array(["a", "b", "c", "d"], dtype=object)
    then = levels[generator.choice(4, REFERENCE, p=[0.4, 0.35, 0.2, 0.05])]
    now = levels[generator.choice(4, rows, p=[0.4 - points, 0.35, 0.2, 0.05 + points])]
    known = profile({"x": then}, {"x": Kind.CATEGORICAL}, np.zeros(1), "roc_auc", 0.8, 1)
    found = watch(known, {"x": now}, StreamState(1), RUN_LENGTH, TOLERANCE)[1]
    return found[0].row + 1 if found else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter streams")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    streams, rows = (4, 20_000) if options.quick else (20, 100_000)
    print(f"bound: a false alarm in {RUN_LENGTH:,.0f} rows at most, on average; streams of {rows:,} rows\n")
    shown: list[list[str | int | float]] = []
    false = total = 0
    slowest = 0.0
    for shape, (draw, sd) in SHAPES.items():
        for name, by in (("none", 0.0), *CHANGES):
            ours, theirs = [], []
            for number in range(streams):
                generator = np.random.default_rng([options.seed, number, len(shape)])
                then, now = draw(generator, REFERENCE), draw(generator, rows) + by * sd
                ours.append(detected(one(then), now))
                theirs.append(retested(then, now[:20_000]))
            shown.append([shape, name, streams, *_told(ours), *_told(theirs)])
            if by == 0:
                false, total = false + sum(row is not None for row in ours), total + streams
            elif shape == "normal":
                limit = 1_000 if by == 0.25 else 6_000
                slowest = max(slowest, (np.median([row or rows for row in ours])) / limit)
    for name, points in (("none", 0.0), ("+3 points of a level", 0.03)):
        generator = np.random.default_rng(options.seed)
        found = [categorical(generator, rows, points) for _ in range(streams)]
        shown.append(["four levels", name, streams, *_told(found), "-", "-"])
        if points == 0:
            false, total = false + sum(row is not None for row in found), total + streams
    table(["column", "change", "streams", "alarms", "median row", "KS again: alarms", "KS again: median row"], shown)
    # At an average run length of a million, n streams of m rows see n m / 1e6 false alarms at most on average.
    holds = false <= stats.poisson.isf(0.001, total * rows / RUN_LENGTH) and slowest <= 1
    goal = "no more false alarms than the run length allows; median delay (normal) <= 1,000 rows at .25 sd, 6,000 at .1"
    report("stream_detection", f"{false} of {total} streams", goal, bool(holds))


def _told(found: list[int | None]) -> tuple[str, str | int]:
    rows = [row for row in found if row is not None]
    return f"{len(rows)} of {len(found)}", int(np.median(rows)) if rows else "-"


if __name__ == "__main__":
    main()
