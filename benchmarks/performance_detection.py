"""Labels until a fall of the model is seen: false alarms on models that hold, and the delay on models that do not.

Losses as they come with labels, one by one, of models that are as good as in their test of 2,000 rows, and of models
that turn worse after 2,000 labels. Beside everfit's detector (with the stated average number of labels to a false
alarm) stand what is usual: a z-test of each 500 labels against the test at p < .05, and the accuracy of each 500 labels
below the test's by two points; and the same z-test at the very rate that the detector has.

    python -m benchmarks.performance_detection [--quick] [--seed N]
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.report import report, table
from everfit.monitoring.losses import baseline, losses, watch
from everfit.records.profile import LossKind
from everfit.records.watch import LossState

RUN_LENGTH, TOLERANCE, TESTED, WINDOW, BEFORE = 50_000.0, 0.02, 2_000, 500, 2_000
Floats = NDArray[np.float64]
Generator = np.random.Generator


def wrong(generator: Generator, rows: int, turned: float) -> Floats:
    """Wrong or right: one in five, and so much more of the rows at random."""
    return (generator.random(rows) < 0.2 + turned).astype(np.float64)


def brier(generator: Generator, rows: int, turned: float) -> Floats:
    """Brier's loss of a calibrated model; of some rows the truth has turned round."""
    score = generator.beta(0.8, 2.4, rows)
    truth = generator.random(rows) < score
    truth ^= generator.random(rows) < turned
    return np.asarray((score - truth) ** 2)


def classes(generator: Generator, rows: int, turned: float) -> Floats:
    """Brier's loss over three classes of a calibrated model; of some rows the truth is another class."""
    score = generator.dirichlet([0.5, 0.5, 0.5], rows)
    truth = (generator.random(rows)[:, None] > score.cumsum(axis=1)).sum(axis=1)
    truth = (truth + (generator.random(rows) < turned)) % 3
    return losses(LossKind.BRIER_OF_CLASSES, score, truth, score.argmax(axis=1) == truth)


def heavy(generator: Generator, rows: int, turned: float) -> Floats:
    """Squared errors with heavy tails; their scale grows."""
    return np.asarray((generator.standard_t(4, rows) * (1 + turned)) ** 2)


LOSSES: tuple[tuple[str, LossKind, Callable[[Generator, int, float], Floats], tuple[float, ...]], ...] = (
    ("wrong or right, .20", LossKind.ERROR, wrong, (0.0, 0.1, 0.05)),
    ("Brier, .15", LossKind.BRIER, brier, (0.0, 0.2, 0.1)),
    ("Brier of 3 classes, .40", LossKind.BRIER_OF_CLASSES, classes, (0.0, 0.2, 0.1)),
    ("squared, heavy tails", LossKind.SQUARED, heavy, (0.0, 0.5, 0.25)),
)


def windows(test: Floats, stream: Floats, p_value: float) -> int | None:
    """The labels until a window's mean is above the test's at that p-value, by Welch's test."""
    for end in range(WINDOW, len(stream) + 1, WINDOW):
        now = stream[end - WINDOW : end]
        apart = (now.mean() - test.mean()) / np.hypot(test.std() / len(test) ** 0.5, now.std() / WINDOW**0.5)
        if stats.norm.sf(apart) < p_value:
            return end
    return None


def points(test: Floats, stream: Floats) -> int | None:
    """The labels until a window's mean is two points, or two hundredths of a loss, above the test's."""
    means = stream[: len(stream) // WINDOW * WINDOW].reshape(-1, WINDOW).mean(axis=1)
    above = np.flatnonzero(means > test.mean() + TOLERANCE * (test.mean() if test.max() > 1 else 1))
    return int(above[0] + 1) * WINDOW if len(above) else None


def ours(kind: LossKind, test: Floats, stream: Floats) -> int | None:
    known = baseline(kind, test)
    if known is None:
        raise AssertionError("the test has rows")
    state, at = LossState(1), 0
    for part in np.array_split(stream, max(len(stream) // 97, 1)):  # as looks come, at any time
        state, found = watch(known, part, state, TOLERANCE, RUN_LENGTH)
        at += len(part)
        if found.degraded:
            return at
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer streams")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    options = parser.parse_args()
    streams, rows = (30 if options.quick else 400), 12_000
    print(f"seed {options.seed}; a false alarm in {RUN_LENGTH:,.0f} labels at most; streams of {rows:,} labels\n")
    shown: list[list[str | int]] = []
    false, found_all = 0, True
    for number, (name, kind, draw, changes) in enumerate(LOSSES):
        for turned in changes:
            seen: list[list[int | None]] = [[], [], [], []]
            for stream in range(streams):
                generator = np.random.default_rng([options.seed, number, stream])
                test = draw(generator, TESTED, 0.0)
                whole = np.concatenate([draw(generator, BEFORE, 0.0), draw(generator, rows - BEFORE, turned)])
                for place, at in enumerate(
                    (
                        ours(kind, test, whole),
                        windows(test, whole, WINDOW / RUN_LENGTH),
                        windows(test, whole, 0.05),
                        points(test, whole),
                    )
                ):
                    seen[place].append(at)
            shown.append([name, f"+{turned:.0%}" if turned else "none", streams, *(_told(one, turned) for one in seen)])
            if not turned:
                false += sum(at is not None for at in seen[0])
            elif turned == changes[1]:
                found_all &= sum(at is not None for at in seen[0]) >= 0.9 * streams
    rules = ["everfit", "z-test, same rate", "z-test p < .05", "2 points below"]
    table(["loss", "worse after 2,000", "streams", *rules], shown)
    print("\nWhere nothing changed: streams with an alarm. Else: found, false before, and the median delay in labels.")
    allowed = len(LOSSES) * streams * rows / RUN_LENGTH
    holds = false <= stats.poisson.isf(0.001, allowed) and found_all
    goal = "no more false alarms than the stated run length allows; the larger changes found in >= 90% of streams"
    report("performance_detection", f"{false} false, {allowed:.0f} allowed", goal, bool(holds))


def _told(found: list[int | None], turned: float) -> str:
    there = [at for at in found if at is not None]
    if not turned:
        return f"{len(there) / len(found):.1%}"
    early = [at for at in there if at <= BEFORE]
    late = [at - BEFORE for at in there if at > BEFORE]
    delay = f"{int(np.median(late)):,}" if late else "-"
    return f"{len(late) / len(found):.0%}, {len(early) / len(found):.0%}, {delay}"


if __name__ == "__main__":
    main()
