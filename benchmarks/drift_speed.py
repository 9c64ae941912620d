"""Seconds and memory for one drift look at 20 columns (12 numeric, 8 categorical), beside what others take for it.

Every contestant runs in a process of its own, on the same Parquet file, in turn with the others; reading the file and
imports are not counted. The median of the rounds is shown, and the most memory beyond the table itself.

- sort: numpy's sort of every column of one side, the limit of whatever looks at each value in order;
- everfit: all of its tests and distances, the reference known by its profile, or (exact) by its sorted values;
- scipy: Kolmogorov-Smirnov or chi-square and Jensen-Shannon, column by column;
- Evidently's DataDriftPreset and NannyML's univariate drift, each in an environment of its own, which the first full
  run makes in ~/.cache/everfit-benchmarks (EVERFIT_BENCHMARKS names another folder).

    python -m benchmarks.drift_speed [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from benchmarks.drift_data import KNOWN, sample
from benchmarks.report import report, table

ROUNDS = {100_000: 5, 1_000_000: 3}
ENVIRONMENTS = {
    "Evidently": ("evidently==0.7.*", "pandas<3"),
    "NannyML": ("nannyml", "pandas<3", "setuptools<81", "statsmodels"),
}
GOALS = {"Evidently": 300.0, "NannyML": 80.0}
MOST_MEMORY = 64.0
CONTESTANTS = Path(__file__).with_name("drift_contestants.py")
OWN = ("sort", "everfit", "everfit, exact", "scipy")


def folder() -> Path:
    return Path(os.environ.get("EVERFIT_BENCHMARKS") or Path.home() / ".cache" / "everfit-benchmarks")


def environment(name: str, make: bool) -> Path | None:
    """The interpreter of the contestant's own environment, made if it may be; None without one."""
    home = folder() / name.lower()
    python = home / "bin" / "python"
    if (home / "ready").exists():
        return python
    if not make:
        print(f"{name}: no environment yet; a full run makes it")
        return None
    uv = str(Path(sys.executable).with_name("uv"))
    for call in (
        [uv, "venv", "--quiet", "--clear", "--python", "3.11", str(home)],
        [uv, "pip", "install", "--quiet", "--python", str(python), "pyarrow", *ENVIRONMENTS[name]],
    ):
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name} cannot be installed here: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
            return None
    (home / "ready").touch()
    return python


def measured(name: str, python: Path, data: Path) -> tuple[float, float] | None:
    """Seconds and MB of one run, or None when it fails, with the reason printed."""
    call = [str(python), str(CONTESTANTS), name, str(data)]
    done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    if done.returncode:
        print(f"{name} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        return None
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return float(found["seconds"]), float(found["mb"])


def written(rows: int, where: Path) -> Path:
    """Reference and current rows as Parquet, categories as text."""
    home = where / str(rows)
    home.mkdir()
    for number, side in enumerate(("reference", "current")):
        columns = sample(KNOWN, np.random.default_rng([rows, number]), rows)
        pl.DataFrame(columns).with_columns(pl.col(pl.Enum).cast(pl.String)).write_parquet(home / f"{side}.parquet")
    return home


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 rows only, and no new environments")
    options = parser.parse_args()
    pythons = {name: environment(name, make=not options.quick) for name in ENVIRONMENTS}
    contestants = dict.fromkeys(OWN, Path(sys.executable)) | {n: p for n, p in pythons.items() if p is not None}
    rows: list[list[str | int | float]] = []
    ratios: dict[str, float] = {}
    holds = True
    with tempfile.TemporaryDirectory() as temporary:
        for size in [100_000] if options.quick else [100_000, 1_000_000]:
            data = written(size, Path(temporary))
            runs: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
            rounds = 2 if options.quick else ROUNDS[size]
            for number in range(rounds):
                for name, python in contestants.items():
                    if name in GOALS and number > 0:
                        continue  # minutes each: one round says enough about factors of a hundred
                    found = measured(name, python, data)
                    runs[name] += [found] if found else []
            seconds = {name: median(run[0] for run in of) for name, of in runs.items() if of}
            ratios = {name: taken / seconds["everfit"] for name, taken in seconds.items()}
            for name, taken in seconds.items():
                memory = max(run[1] for run in runs[name])
                rows.append([name, size, round(taken, 4), round(ratios[name], 2), round(memory)])
            ours = max(run[1] for run in runs["everfit"])
            holds = ratios["sort"] >= 1 and ours <= MOST_MEMORY
            holds &= all(ratios[name] >= goal for name, goal in GOALS.items() if name in ratios)
    table(["contestant", "rows a side", "seconds", "times everfit", "MB"], rows)
    goal = "no more time than the sort limit of the same run, >= 300x Evidently, >= 80x NannyML, <= 64 MB, at 1M rows"
    report("drift_speed", round(ratios["sort"], 2), goal, holds)


if __name__ == "__main__":
    main()
