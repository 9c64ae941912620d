"""What `everfit run` costs as the table grows: from a Parquet file to a registered model.

    python -m benchmarks.training_scale [--quick] [--large] [--rows N ...] [--set KEY=VALUE ...]

Each size is a process of its own on a fresh project folder of generated customers with 20 features. CPU is user and
system time of that process and of all that it waited for. Memory is sampled up to ten times a second, less often where
that takes long, over the process and its descendants, from the kernel's sums (`smaps_rollup`, so Linux only): the
resident set counts a page as often as it is mapped, the proportional set counts it once in all. What the workers map
lies in memory, so the truth is between the two. A run beyond the limit of memory or of time is ended and told as such.
Tables beyond a million rows are drawn and written a million customers at a time.
The slope is the power of the rows that CPU grows with, by least squares on the logarithms. The last line holds the
greatest resident set of the largest table.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from time import perf_counter, process_time, sleep
from typing import IO

import numpy as np
import polars as pl

from benchmarks.report import Cell, report, table
from benchmarks.run_latency import COMMAND, PROJECT
from everfit.testing.churn import customers

SIZES, QUICK, LARGE = (10_000, 100_000, 1_000_000), (10_000, 30_000), (10_000_000,)
PIECE = 1_000_000
FEW = ["training.budget.trials=1", "training.models=[logistic, lightgbm]"]
GOAL_GB, LIMIT_GB = 16.0, 15.0
PERIOD, SHARE = 0.1, 50.0  # seconds between samples, and how many times as long as one takes


@dataclass(frozen=True, slots=True)
class Memory:
    """Gigabytes (1e9 bytes): pages as often as they are mapped, and once in all."""

    resident: float = 0.0
    proportional: float = 0.0

    def greatest(self, other: Memory) -> Memory:
        """The greater of each."""
        return Memory(max(self.resident, other.resident), max(self.proportional, other.proportional))


@dataclass(frozen=True, slots=True)
class Cost:
    """A run's seconds by the clock and of processor, its memory at most, and why it did not end if it did not."""

    rows: int
    wall: float
    cpu: float
    peak: Memory
    stopped: str = ""

    def cells(self) -> list[Cell]:
        """A row of the table."""
        memory = (f"{self.peak.resident:.2f} GB", f"{self.peak.proportional:.2f} GB")
        return [self.rows, f"{self.wall:.1f} s", f"{self.cpu:.1f} s", *memory, self.stopped or "registered"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10,000 and 30,000 rows, two families, one setting each")
    parser.add_argument("--large", action="store_true", help="10,000,000 rows instead")
    parser.add_argument("--rows", type=int, nargs="+", help="the sizes instead of 10,000, 100,000 and 1,000,000")
    parser.add_argument("--set", action="append", metavar="KEY=VALUE", help="a setting, as with `everfit run`")
    parser.add_argument("--seconds", type=float, default=7200.0, help="a run that takes longer is ended")
    given = parser.parse_args(arguments)
    sizes = sorted(given.rows or (QUICK if given.quick else LARGE if given.large else SIZES))
    settings = given.set or (FEW if given.quick else [])
    costs = [measured(rows, settings, given.seconds) for rows in sizes]
    table(["rows", "clock", "CPU", "resident", "proportional", "outcome"], [cost.cells() for cost in costs])
    print(f"\n{', '.join(settings) or 'default settings'}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    ended = [cost for cost in costs if not cost.stopped]
    if len(ended) > 1:
        print(f"CPU grows with the rows to the power of {slope(ended):.2f}")
    last = costs[-1]
    goal = f"{last.rows:,} rows from file to registered model within {GOAL_GB:g} GB"
    holds = not last.stopped and last.peak.resident <= GOAL_GB
    report("training_scale", round(last.peak.resident, 2), goal, holds)


def slope(costs: Sequence[Cost]) -> float:
    """The power of the rows that CPU grows with."""
    rows, cpu = (np.log([getattr(cost, name) for cost in costs]) for name in ("rows", "cpu"))
    return float(np.polyfit(rows, cpu, 1)[0])


def measured(rows: int, settings: Sequence[str], seconds: float) -> Cost:
    """`everfit run` on a table of this size. RuntimeError with what it said when it failed."""
    with TemporaryDirectory(prefix="everfit-") as name, TemporaryFile("w+") as said:
        folder = Path(name)
        (folder / "everfit.yaml").write_text(PROJECT.replace("customers.csv", "customers.parquet"))
        write(rows, folder / "customers.parquet")
        chosen = [word for setting in settings for word in ("--set", setting)]
        with started(["run", "--project", str(folder / "everfit.yaml"), *chosen], said) as process:
            cost, status = watched(process, rows, seconds)
        if status and not cost.stopped:
            said.seek(0)
            raise RuntimeError(f"everfit run on {rows:,} rows ended with {status}:\n{said.read()[-2000:]}")
        return cost


def write(rows: int, path: Path) -> None:
    """Customers as Parquet: those of each piece drawn from a seed of its own, numbered on."""
    parts = []
    for number, first in enumerate(range(0, rows, PIECE)):
        part = path.with_name(f"part-{number}.parquet")
        start = datetime(2025, 1, 1)  # noqa: DTZ001  # no zone
        customers(min(PIECE, rows - first), 1 + number, start, 90, first=first).write_parquet(part)
        parts.append(part)
    pl.scan_parquet(parts).sink_parquet(path)
    for part in parts:
        part.unlink()


@contextmanager
def started(arguments: Sequence[str], said: IO[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The process at the head of a group of its own, of which nothing is left afterwards."""
    process = subprocess.Popen(
        [sys.executable, *COMMAND, *arguments], stdout=said, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def watched(process: subprocess.Popen[bytes], rows: int, seconds: float) -> tuple[Cost, int]:
    """What the process costs until it ends or is ended, and its exit code."""
    began, peak, stopped = perf_counter(), Memory(), ""
    while True:
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
            cost = Cost(rows, perf_counter() - began, used.ru_utime + used.ru_stime, peak, stopped)
            return cost, process.returncode
        sampling = process_time()
        peak = peak.greatest(memory(family(process.pid)))
        if not stopped and peak.resident > LIMIT_GB:
            stopped = f"ended beyond {LIMIT_GB:g} GB"
        elif not stopped and perf_counter() - began > seconds:
            stopped = f"ended after {seconds:g} s"
        if stopped:
            os.killpg(process.pid, signal.SIGKILL)
        sleep(max(PERIOD, SHARE * (process_time() - sampling)))


def family(head: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = [head]
    for one in found:
        found.extend(children.get(one, []))
    return found


def memory(processes: Sequence[int]) -> Memory:
    """What these processes hold now; one that just ended holds nothing."""
    resident = proportional = 0
    for process in processes:
        with suppress(OSError):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
            sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
            resident += sizes["Rss"]
            proportional += sizes["Pss"]
    return Memory(resident * 1024 / 1e9, proportional * 1024 / 1e9)


if __name__ == "__main__":
    main()
