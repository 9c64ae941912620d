"""Requests of the moment as one batch (`serving.batching`): what it gains for models without a compiled form, by how
many callers there are, and that it costs nothing where there is nothing to gain.

Callers in one process each ask again as soon as they are answered, one row at a time, with the prediction log on; with
batches and without take turns. Three estimators: scikit-learn's own forest of 200 trees (the cost is in the call), its
nearest neighbours over 5,000 rows, and a loop in Python (all of the cost is in the row).
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.report import Cell, report, table
from benchmarks.served_models import Customers
from everfit.records.release import Arm, RouteTable
from everfit.serving.answering import Answering
from everfit.serving.commit import GroupCommit
from everfit.serving.log import JsonLinesLog
from everfit.serving.model import Model, open_model
from everfit.serving.predictor import Predictor

CALLERS = (1, 8, 64)
GOAL_GAIN, GOAL_LOSS = 3.0, 0.9


@dataclass(frozen=True)
class Heavy:
    """An estimator that answers by a function: (rows, columns) to (rows, classes)."""

    call: Callable[[Any], Any]

    def score(self, matrix: Any) -> Any:
        return self.call(matrix)


@dataclass(frozen=True)
class Served:
    """What callers saw: requests a second, and the 99th percentile of the time to an answer in milliseconds."""

    rate: float
    p99: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    quick = parser.parse_args().quick
    drawn = Customers.drawn(5_000)
    rows = drawn.table.drop("churn").drop_nulls().head(200).to_dicts()
    with tempfile.TemporaryDirectory() as folder:
        drawn.bundle("logistic", Path(folder) / "bundle", rows=500)
        model = open_model(Path(folder) / "bundle")
        lines: list[list[Cell]] = []
        gains: dict[tuple[str, int], float] = {}
        for name, call in estimators(drawn).items():
            heavy = replace(model, scorer=Heavy(call), compiled=None)
            for callers in CALLERS:
                alone, together = compared(heavy, rows, callers, Path(folder), 0.4 if quick else 3.0, 3 if quick else 7)
                gains[name, callers] = together.rate / alone.rate
                lines.append([name, callers, alone.rate, together.rate, gains[name, callers], alone.p99, together.p99])
    table(["estimator", "callers", "alone/s", "batched/s", "ratio", "p99 alone, ms", "p99 batched, ms"], lines)
    gain, row = gains["forest", CALLERS[-1]], gains["loop", CALLERS[-1]]
    goal = f"with {CALLERS[-1]} callers: forest >= {GOAL_GAIN:g} times, loop >= {GOAL_LOSS} (it has {row:.2f})"
    report("serving_batching", round(gain, 2), goal, gain >= GOAL_GAIN and row >= GOAL_LOSS)


def estimators(drawn: Customers) -> dict[str, Callable[[Any], Any]]:
    """By name, fitted on the customers; one thread each, as in a server with a worker a core."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier

    forest = RandomForestClassifier(200, random_state=1, n_jobs=1).fit(drawn.matrix, drawn.truth)
    nearest = KNeighborsClassifier(25, n_jobs=1).fit(drawn.matrix, drawn.truth)

    def loop(matrix: Any) -> Any:
        shares = [sum(value * place for place, value in enumerate(row.tolist() * 60)) for row in matrix]
        score = 1 / (1 + np.exp(-np.tanh(np.array(shares))))
        return np.column_stack((1 - score, score))

    return {"forest": forest.predict_proba, "neighbours": nearest.predict_proba, "loop": loop}


def compared(
    model: Model, rows: Sequence[Any], callers: int, folder: Path, seconds: float, rounds: int
) -> tuple[Served, Served]:
    """Without batches and with, in turns; the median of the rounds each."""
    seen: dict[bool, list[Served]] = {False: [], True: []}
    for number in range(rounds):
        for batches in (False, True):
            log = JsonLinesLog(folder / f"log-{callers}-{number}-{batches}")
            seen[batches].append(asyncio.run(served(model, log, batches, rows, callers, seconds)))
            log.close()
    return _median(seen[False]), _median(seen[True])


async def served(
    model: Model, log: JsonLinesLog, batches: bool, rows: Sequence[Any], callers: int, seconds: float
) -> Served:
    predictor = Predictor(log)
    predictor.swap(RouteTable(1, (Arm("champion", 1, 1.0),)), {1: model})
    answering = Answering(predictor, GroupCommit(log), batches)
    times: list[float] = []
    end = perf_counter() + seconds

    async def caller(place: int) -> None:
        while (began := perf_counter()) < end:
            await answering.predict([rows[place % len(rows)]])
            times.append(perf_counter() - began)
            place += callers

    await asyncio.gather(*(caller(place) for place in range(callers)))
    spent = perf_counter() - (end - seconds)
    return Served(len(times) / spent, float(np.quantile(times, 0.99)) * 1e3)


def _median(seen: Sequence[Served]) -> Served:
    return Served(median(one.rate for one in seen), median(one.p99 for one in seen))


if __name__ == "__main__":
    main()
