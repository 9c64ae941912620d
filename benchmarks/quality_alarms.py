"""Looks at data quality that alarm on rows like the training's, and the power when a feed breaks.

A table with the blemishes that real ones have (missing values just below or above the limit, some numbers out of range,
some codes that nobody knows) is checked as in training; then windows of predictions drawn from the very same world, and
windows in which one thing broke. Beside everfit's rule (a failed check is news where its share of rows is larger than
in training by half a point and beyond chance, at 2% for all checks of a look) stand the usual two: any check failed,
and any check failed that passed in training.

    python -m benchmarks.quality_alarms [--quick] [--seed N]
"""

from __future__ import annotations

import argparse
import secrets

import numpy as np
import polars as pl
from scipy import stats

from benchmarks.report import report, table
from everfit.data.checks import check
from everfit.data.schema import infer
from everfit.monitoring.quality import failed
from everfit.project.sections.data import Check, ColumnCheck
from everfit.records.table import QualityReport, Severity

ALPHA, FLOOR, MOST_FALSE, LEAST_POWER = 0.02, 0.005, 0.02, 0.9
TRAINED = 10_000
RULES = ("everfit", "any check failed", "failed, passed in training")
MISSING = {"age": 0.049, "income": 0.051, "tenure": 0.002, "visits": 0.0, "plan": 0.01}
OUTSIDE = {"age": 0.001, "income": 0.01, "tenure": 0.0}
UNKNOWN = 0.004
BROKEN = {
    "nothing": {},
    "tenure: 10 points more missing": {"missing tenure": 0.1},
    "visits: 2 points out of range": {"outside visits": 0.02},
    "plan: 3 points unknown": {"unknown": 0.03},
}
CHECKS: list[Check] = [
    *(ColumnCheck(column=name, nulls=0.05, severity=Severity.WARNING) for name in MISSING),
    *(ColumnCheck(column=n, min=0, max=100, severity=Severity.WARNING) for n in (*OUTSIDE, "visits")),
    ColumnCheck(column="plan", allowed=("basic", "full"), severity=Severity.WARNING),
]


def drawn(generator: np.random.Generator, rows: int, broken: dict[str, float]) -> pl.DataFrame:
    found: dict[str, pl.Series] = {}
    for name in ("age", "income", "tenure", "visits"):
        values = generator.uniform(0, 100, rows)
        beyond = OUTSIDE.get(name, 0.0) + broken.get(f"outside {name}", 0.0)
        found[name] = pl.Series(np.where(generator.random(rows) < beyond, 500.0, values))
    unknown = UNKNOWN + broken.get("unknown", 0.0)
    plans = np.where(generator.random(rows) < 0.5, "basic", "full")
    found["plan"] = pl.Series(np.where(generator.random(rows) < unknown, "old", plans))
    gone = {name: share + broken.get(f"missing {name}", 0.0) for name, share in MISSING.items()}
    return pl.DataFrame([found[n].set(pl.Series(generator.random(rows) < gone[n]), None).alias(n) for n in found])


def verdicts(then: QualityReport, now: QualityReport) -> list[bool]:
    passed = {(one.check, one.column) for one in then.results if one.passed}
    ours = any(one.is_news for one in failed(now, then.results, then.rows, ALPHA, FLOOR))
    return [ours, bool(now.issues), any((one.check, one.column) in passed for one in now.issues)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer looks")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    options = parser.parse_args()
    print(f"seed {options.seed}; trained on {TRAINED:,} rows, {len(CHECKS)} checks of rows beside those always made\n")
    shown: list[list[str | int]] = []
    holds, worst = True, 0.0
    for size in (500, 5_000, 50_000):
        for name, broken in BROKEN.items():
            looks = (60, 12) if options.quick else (3_000, 100)
            count = looks[1] if broken else looks[0] // (1 + size // 10_000)
            found = np.zeros(len(RULES))
            for number in range(count):
                generator = np.random.default_rng([options.seed, size, number])
                training = drawn(generator, TRAINED, {})
                columns = infer(training)
                then = check(training, columns, CHECKS, None)
                now = check(drawn(generator, size, broken), columns, CHECKS, None)
                found += verdicts(then, now)
            shown.append([name, size, count, *(f"{100 * share:.1f}%" for share in found / count)])
            if broken:
                holds &= bool(found[0] >= stats.binom.ppf(0.001, count, LEAST_POWER))
            else:
                worst = max(worst, found[0] / count)
                holds &= bool(found[0] <= stats.binom.isf(0.001, count, MOST_FALSE))
    table(["what broke", "rows", "looks", *RULES], shown)
    goal = "false alarms <= 2% of looks at every size; power >= 90% (each to the precision of the run)"
    report("quality_alarms", round(worst, 4), goal, holds)


if __name__ == "__main__":
    main()
