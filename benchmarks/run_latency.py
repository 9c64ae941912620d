"""What a person waits for: the first and the next `everfit run`, the command line, `import everfit`, a step.

    python -m benchmarks.run_latency [--quick]

Runs are processes of their own on a fresh project folder of generated customers: cold means that nothing is stored
yet, warm that nothing changed since. Python has compiled the libraries before: their first import costs seconds once,
or at every start where PYTHONDONTWRITEBYTECODE is set, which is left out here. The runner's overhead is what a graph
of small steps, each with a 10,000 x 20 table in and out, takes longer than the same functions called one after the
other. CPU is user and system time of the process and its children: on a busy machine it says more than the clock
does. The last line holds the seconds of a warm run by the clock, and whether every goal held by it.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import polars as pl

from benchmarks.report import Cell, report, table
from everfit.adapters.artifacts.folder import FolderArtifacts
from everfit.adapters.state.sqlite import SqliteState
from everfit.flow.graph import Graph, graph, step
from everfit.flow.run import Given, Runner, Silent
from everfit.testing.churn import ENTITY, POSITIVE, TARGET, TIME, customers

PROJECT = f"""\
project: churn
data:
  source: customers.csv
  target: {{column: {TARGET}, positive: "{POSITIVE}"}}
  entity: {ENTITY}
  exclude: [{TIME}]
gates: {{roc_auc: 0.70}}
"""
# What a run imports sooner or later: compiled by Python before the first run is timed.
LIBRARIES = ("lightgbm", "mlflow", "optuna", "polars", "scipy.optimize", "sklearn.ensemble", "xgboost")
COMMAND = ("-c", "from everfit.cli.main import main; main()")
COUNTED = f"import atexit, sys; atexit.register(lambda: print(len(sys.modules), file=sys.stderr)); {COMMAND[1]}"
STEPS, ROWS, COLUMNS = 5, 10_000, 20
STEP_MS, HELP_S, COLD_S, WARM_S = 5.0, 0.15, 30.0, 1.0


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the clock and seconds of processor."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Line:
    """What was measured how often, and its goal in the same unit."""

    what: str
    unit: str
    times: int
    spent: Spent
    goal: float | None = None
    modules: int | None = None

    @property
    def holds(self) -> bool:
        """By the clock."""
        return self.goal is None or self.spent.wall <= self.goal

    @property
    def holds_by_cpu(self) -> bool:
        """As if the machine had nothing else to do, for what does its work in one process."""
        return self.goal is None or self.spent.cpu <= self.goal

    def cells(self) -> list[Cell]:
        """A row of the table."""
        held = "" if self.goal is None else f"{self.holds} / {self.holds_by_cpu}"
        figures = [f"{self.spent.wall:.3f} {self.unit}", f"{self.spent.cpu:.3f} {self.unit}"]
        goal = "" if self.goal is None else f"<= {self.goal:g} {self.unit}"
        return [self.what, self.times, *figures, "" if self.modules is None else str(self.modules), goal, held]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smaller table, fewer trials and runs: within a minute")
    quick = parser.parse_args(arguments).quick
    times = 3 if quick else 9
    lines = [*starts(times), *runs(1_000 if quick else 10_000, 1 if quick else None, times), *overheads(times)]
    heads = ["", "median of", "clock", "CPU", "modules", "goal", "holds by clock / CPU"]
    table(heads, [line.cells() for line in lines])
    by_cpu = all(line.holds_by_cpu for line in lines)
    print(
        f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; by CPU {'all' if by_cpu else 'not all'} goals hold"
    )
    warm = next(line.spent.wall for line in lines if "warm" in line.what)
    goal = "; ".join(f"{line.what} <= {line.goal:g} {line.unit}" for line in lines if line.goal is not None)
    report("run_latency", round(warm, 3), goal, all(line.holds for line in lines))


def starts(times: int) -> Iterator[Line]:
    """What every command pays before it does anything."""
    count = "import sys; {}; print(len(sys.modules), file=sys.stderr)"
    for what, code in (("python", "pass"), ("import everfit", "import everfit")):
        spent = middle([process("-c", code) for _ in range(times)])
        yield Line(what, "s", times, spent, modules=modules("-c", count.format(code)))
    yield command(("--help",), times, HELP_S)


def runs(rows: int, trials: int | None, times: int) -> Iterator[Line]:
    """`everfit run` on customers that it has not seen, and again; then what looks at what it made."""
    few = () if trials is None else ("--set", f"training.budget.trials={trials}")
    settings = f"{rows:,} rows" + (f", {trials} trial a family" if trials else "")
    with fresh() as folder:
        said("-c", f"import {', '.join(LIBRARIES)}")
        (folder / "everfit.yaml").write_text(PROJECT)
        customers(rows, 1, datetime(2025, 1, 1), 90).write_csv(folder / "customers.csv")  # noqa: DTZ001  # no zone
        project = ("--project", str(folder / "everfit.yaml"))
        cold = process(*COMMAND, "run", *project, *few)
        yield Line(f"everfit run, cold ({settings})", "s", 1, cold, COLD_S)
        yield command(("run", *project, *few), times, WARM_S, f"everfit run, warm ({settings})")
        yield command(("status", *project), times, what="everfit status")


def command(arguments: Sequence[str], times: int, goal: float | None = None, what: str = "") -> Line:
    """A command of everfit, in a process of its own."""
    spent = middle([process(*COMMAND, *arguments) for _ in range(times)])
    found = modules("-c", COUNTED, *arguments)
    return Line(what or f"everfit {' '.join(arguments)}", "s", times, spent, goal, found)


def overheads(times: int) -> Iterator[Line]:
    """The runner beside the same functions called in plain Python, for each step; other orchestrators go here."""
    random = np.random.default_rng(1)
    given = pl.DataFrame({f"x{i}": random.random(ROWS) for i in range(COLUMNS)})
    plain = middle([spent(lambda: called(given)) for _ in range(times)])
    yield Line(f"a step of {STEPS}, called", "ms", times, each(plain))
    first, again = zip(*(walked(given) for _ in range(times)), strict=True)
    yield Line(f"a step of {STEPS}, runner's overhead, first run", "ms", times, each(middle(first), plain), STEP_MS)
    yield Line(f"a step of {STEPS}, runner's overhead, cached run", "ms", times, each(middle(again), plain), STEP_MS)


def raised(x: pl.DataFrame) -> pl.DataFrame:
    """A step that does next to nothing."""
    return x.with_columns(pl.col("x0") + 1)


def called(given: pl.DataFrame) -> pl.DataFrame:
    for _ in range(STEPS):
        given = raised(given)
    return given


def wired() -> Graph:
    sources = ["given", *(f"step_{i}" for i in range(STEPS))]
    return graph([step(raised, name=f"step_{i}", x=sources[i]) for i in range(STEPS)], ["given"])


def walked(given: pl.DataFrame) -> tuple[Spent, Spent]:
    """The graph's first run in a fresh folder and the one after it."""
    with fresh() as folder:
        stores = FolderArtifacts(folder / "artifacts"), SqliteState(folder / "state.db")
        runner = Runner(*stores, Silent(), folder / "scratch", ("everfit", "__main__"))
        values = {"given": Given(given, "the same")}

        def walk() -> None:
            runner.run(wired(), values, pipeline="steps")

        return spent(walk), spent(walk)


def each(total: Spent, less: Spent | None = None) -> Spent:
    """Milliseconds a step."""
    less = less or Spent(0.0, 0.0)
    return Spent((total.wall - less.wall) / STEPS * 1e3, (total.cpu - less.cpu) / STEPS * 1e3)


def middle(found: Sequence[Spent]) -> Spent:
    return Spent(median(one.wall for one in found), median(one.cpu for one in found))


def process(*arguments: str) -> Spent:
    """A Python process, to its end. RuntimeError with what it said when it failed."""
    return spent(lambda: said(*arguments), resource.RUSAGE_CHILDREN)


def modules(*arguments: str) -> int:
    """How many modules the process had loaded at its end, the last thing that it says."""
    return int(said(*arguments).split()[-1])


def said(*arguments: str) -> str:
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=compiled)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stderr


def spent(work: Callable[[], object], whose: int = resource.RUSAGE_SELF) -> Spent:
    before, began = resource.getrusage(whose), perf_counter()
    work()
    wall, after = perf_counter() - began, resource.getrusage(whose)
    return Spent(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


@contextmanager
def fresh() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="everfit-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    main()
