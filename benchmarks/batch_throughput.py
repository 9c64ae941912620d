"""Rows a second from file to file: `everfit predict --no-log` beside scikit-learn in chunks.

    python -m benchmarks.batch_throughput [--quick]

The model is XGBoost's or a random forest's first setting on generated customers. Each run is a process of its own that
reads, scores and writes a table. scikit-learn's reads a chunk with polars, makes a DataFrame of it, calls its pipeline
and writes the chunk; it is given fewer rows, for its speed does not depend on them. The peak of the process's memory is
shown at two sizes, the second several times the first: it must not follow, neither from Parquet nor from CSV. At last a
run over the larger Parquet file is killed with half of it done, and started again: the file must come out the same to
the byte. The last line holds the smaller of the two ratios.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import polars as pl

from benchmarks.report import Cell, report, table
from benchmarks.served_models import Customers
from everfit.flow.bulk import ROWS

FAMILIES = ("xgboost", "random_forest")
RATIO, GROWTH = 2.0, 1.35
CHUNK = 20_000
TRAINED, DRAWN = 4_000, 50_000


@dataclass(frozen=True)
class Run:
    """What a process did: rows, seconds by the clock and of processor for the work itself, peak memory in MB."""

    what: str
    family: str
    rows: int
    seconds: float
    cpu: float
    peak: float

    @property
    def speed(self) -> float:
        """Rows a second of processor: on a busy machine the clock says little."""
        return self.rows / self.cpu

    @property
    def cells(self) -> list[Cell]:
        return [self.family, self.what, self.rows, round(self.rows / self.seconds), round(self.speed), round(self.peak)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows: within a minute")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.work:
        sklearn(*given.work)
        return
    sizes = (40_000, 160_000, 20_000) if given.quick else (1_000_000, 10_000_000, 100_000)
    with tempfile.TemporaryDirectory(prefix="everfit-") as folder:
        runs = [run for name in FAMILIES for run in compared(name, Path(folder), sizes)]
        plain = everfit(FAMILIES[0], Path(folder), sizes[:2], "csv")
        resumed, same = killed(FAMILIES[0], Path(folder), sizes[1])
    table(["model", "", "rows", "rows/s", "rows/CPU s", "peak MB"], [run.cells for run in [*runs, *plain]])
    ratios = [large.speed / theirs.speed for _, large, theirs in zip(*[iter(runs)] * 3, strict=True)]
    pairs = [*zip(runs[::3], runs[1::3], strict=True), (plain[0], plain[1])]
    growth = max(large.peak / small.peak for small, large in pairs)
    print(f"\nratios {', '.join(f'{ratio:.1f}' for ratio in ratios)}; memory at {sizes[1]:,} rows {growth:.2f}x")
    print(f"killed and started again: {resumed:,} rows were there, the file is {'the same' if same else 'ANOTHER'}")
    goal = (
        f">= {RATIO:g}x scikit-learn's rows a CPU second; memory <= {GROWTH}x at {sizes[1] // sizes[0]}x the rows; "
        "the same file after a kill"
    )
    report("batch_throughput", round(min(ratios), 1), goal, min(ratios) >= RATIO and growth <= GROWTH and same)


def compared(family: str, folder: Path, sizes: tuple[int, int, int]) -> list[Run]:
    """everfit at two sizes, then scikit-learn, each in a process of its own."""
    Customers.drawn(TRAINED).bundle(family, folder / family, 10_000)
    source = table_of(sizes[2], folder)
    found = process("-m", "benchmarks.batch_throughput", "--work", family, source, folder / f"{family}-sklearn")
    return [*everfit(family, folder, sizes[:2]), Run("scikit-learn", family, sizes[2], *found)]


def everfit(family: str, folder: Path, sizes: Sequence[int], suffix: str = "parquet") -> list[Run]:
    """The bundle's answers for tables of these sizes, from files of one format to files of the same."""
    return [
        Run(f"everfit, {suffix}", family, rows, *process(*command(family, folder, table_of(rows, folder, suffix))))
        for rows in sizes
    ]


def command(family: str, folder: Path, source: Path, name: str = "scores") -> tuple[str | Path, ...]:
    """What the process is called with."""
    return "-c", EVERFIT, folder / family, source, folder / f"{family}-{name}{source.suffix}"


def killed(family: str, folder: Path, rows: int) -> tuple[int, bool]:
    """A run killed with half of its pieces done and started again: the rows that were there, and whether the file is
    the one of the run that was not."""
    given = command(family, folder, table_of(rows, folder), "killed")
    target = Path(given[-1])
    parts = target.with_name(f".{target.name}.parts")
    half = rows // ROWS // 2
    with subprocess.Popen([sys.executable, *map(str, given)], stdout=subprocess.DEVNULL) as run:
        while len(list(parts.glob("*.arrow"))) < half and run.poll() is None:
            time.sleep(0.005)
        run.kill()
    done = len(list(parts.glob("*.arrow"))) * ROWS
    process(*given)
    return done, 0 < done < rows and content(target) == content(folder / f"{family}-scores.parquet")


def content(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def process(*arguments: str | Path) -> tuple[float, float, float]:
    """What the process prints: seconds, processor seconds, megabytes. RuntimeError with what it said when it failed."""
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    seconds, cpu, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, cpu, peak


def table_of(rows: int, folder: Path, suffix: str = "parquet") -> Path:
    """A file of so many customers, some of them drawn and repeated."""
    path, piece = folder / f"{rows}.{suffix}", folder / "piece.parquet"
    if not piece.exists():
        Customers.drawn(DRAWN).table.write_parquet(piece)
    if not path.exists():
        copies = [pl.scan_parquet(piece)] * -(-rows // DRAWN)
        found = pl.concat(copies).head(rows)
        if suffix == "csv":
            found.sink_csv(path)
        else:
            found.sink_parquet(path, row_group_size=100_000)
    return path


# What the command does behind its reading of the project.
EVERFIT = """
import json, sys
from pathlib import Path
from time import perf_counter, process_time
from everfit.adapters.sources.csv import CsvSource
from everfit.adapters.sources.parquet import ParquetSource
from everfit.flow import bulk, scoring
from everfit.records.release import Arm, RouteTable
from everfit.serving.arms import Snapshot
from everfit.serving.model import open_model

bundle, source, target = sys.argv[1:]
snapshot = Snapshot(RouteTable(1, (Arm("champion", 1, 1.0),)), {1: open_model(Path(bundle))})
began, busy = perf_counter(), process_time()
answers = bulk.here(scoring.unlogged(snapshot, "score"))
table = CsvSource(source) if source.endswith(".csv") else ParquetSource(source)
columns = scoring.columns(snapshot.champion)
bulk.score(table, Path(target), answers, "plan", lambda done: None, columns=columns)
peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps([perf_counter() - began, process_time() - busy, peak]))
"""


def sklearn(family: str, source: str, target: str) -> None:
    """Trains, then scores a chunk at a time, each written to a file of its own; prints as the other does."""
    drawn = Customers.drawn(TRAINED)
    pipeline: Any = drawn.pipeline(family)
    rows = pl.scan_parquet(source).select(pl.len()).collect().item()
    began, busy = perf_counter(), process_time()
    for start in range(0, rows, CHUNK):
        chunk = pl.scan_parquet(source).slice(start, CHUNK).collect()
        score = pipeline.predict_proba(drawn.frame(chunk))[:, 1]
        found = chunk.select("customer_id", score=pl.Series(score), prediction=pl.Series(score >= 0.5))
        found.write_parquet(f"{target}-{start}.parquet")
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps([perf_counter() - began, process_time() - busy, peak]))


if __name__ == "__main__":
    main()
