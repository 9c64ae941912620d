"""How long a look at a release takes as its prediction log grows: going on where the look before left off, and from the
release's start. Both read the same log, side by side; what they count must be equal. The log is tended before: the
last few thousand records that are not Parquet yet cost every look the same, however long the release.

    python -m benchmarks.verdict_looks [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from msgspec.structs import replace
from tests.unit.serving_models import bundle

from benchmarks.report import Cell, report, table
from everfit.flow import trial as evidence
from everfit.flow.gathering import Gathering
from everfit.flow.trial import Trial
from everfit.ports import LabelStore
from everfit.project.sections.release import Release, Verdict
from everfit.records.prediction import PredictionRecord
from everfit.records.release import ReleaseState
from everfit.rollout.tally import StepTally, tally
from everfit.serving.log import JsonLinesLog
from everfit.training.bundle import open_bundle

RATE = 200  # predictions a second
BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
STATE = ReleaseState(4, 1, BEGAN, None, 2, (0.5,), 0, BEGAN, (BEGAN,))
SETTINGS = Release(steps=(0.5,), verdict=Verdict(errors=0.005, latency_p99=0.2, scores=0.05))
LOOKS = 5
MOST = 1.5
T = TypeVar("T")


class NoLabels:
    """No truth is known, and nothing here asks."""


def logged(log: JsonLinesLog, first: int, last: int, random: np.random.Generator) -> None:
    """Predictions number `first` to `last`, at their rate."""
    plain = PredictionRecord("", BEGAN, None, {"tenure": 12}, {"tenure": 12.0}, "arm", 1, 0.5, "Yes", 0.01)
    for start in range(first, last, 1000):
        log.append(
            [
                replace(
                    plain, id=f"{number:012x}", time=BEGAN + timedelta(seconds=number / RATE),
                    entity=f"c-{random.integers(100_000)}", version=1 + int(random.random() < 0.5),
                    score=float(random.random()), latency=float(random.exponential(0.01)) + 1e-4,
                )
                for number in range(start, min(start + 1000, last))
            ]
        )  # fmt: skip


def timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def measured(size: int, folder: Path) -> tuple[float, float, bool]:
    """Seconds of a look that goes on and of one from the start, and whether they count alike."""
    log, random = JsonLinesLog(folder / "log"), np.random.default_rng(1)
    store: LabelStore = NoLabels()  # type: ignore[assignment]
    trial = Trial(log, store, SETTINGS, open_bundle(bundle()), timedelta(0))
    gathering, scale, done = Gathering(folder / "counts"), evidence.scale(trial, STATE), size - LOOKS * RATE
    logged(log, 0, done, random)
    log.close()
    log.tend()
    gathering.counts(trial, STATE, scale, BEGAN + timedelta(seconds=done / RATE))
    onward, anew, equal = list[float](), list[float](), True
    for _ in range(LOOKS):
        logged(log, done, done + RATE, random)
        done += RATE
        now = BEGAN + timedelta(seconds=done / RATE)
        took, found = timed(partial(gathering.counts, trial, STATE, scale, now))
        onward.append(took)
        took, whole = timed(partial(from_the_start, trial, now))
        anew.append(took)
        equal = equal and str(found) == str(whole)
    log.close()
    return median(onward), median(anew), equal


def from_the_start(trial: Trial, now: datetime) -> tuple[StepTally, ...]:
    scale = evidence.scale(trial, STATE)
    seen = evidence.observed(trial, STATE, (), now)
    return tally(seen, evidence.steps(STATE, now), 1, 2, scale.thresholds)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 200,000 predictions in place of a million")
    sizes = (50_000, 200_000) if parser.parse_args(arguments).quick else (50_000, 200_000, 1_000_000)
    rows: list[list[Cell]] = []
    looks: list[tuple[float, float, bool]] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            looks.append(measured(size, Path(folder)))
        onward, anew, equal = looks[-1]
        rows.append([size, round(1000 * onward, 1), round(1000 * anew, 1), round(anew / onward, 1), equal])
    table(["predictions in the release", "look ms", "from the start ms", "times", "counts equal"], rows)
    growth = looks[-1][0] / looks[0][0]
    longer = sizes[-1] // sizes[0]
    goal = f"counts equal, and a look at most {MOST:g} times as long where the release is {longer} times as long"
    report("verdict_looks", round(growth, 2), goal, all(equal for _, _, equal in looks) and growth <= MOST)


if __name__ == "__main__":
    main()
