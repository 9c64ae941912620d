"""Whether everfit's training is as good as the usual recipes, and what it costs.

    python -m benchmarks.training_quality [--quick] [--telco PATH] [--tables NAMES] [--splits N] [--draws N]

Several tables (binary, several classes, regression), each cut five times at random into four fifths for training and
one fifth for the test; on each cut everfit's default training, the sources' recipe (RandomizedSearchCV, 20 draws by 5
folds by four families), Optuna with LightGBM and FLAML, one after the other in one process tree, each in one thread.
ROC AUC or R2 with its 95% interval over the cuts, Brier score, calibration error, seconds of processor with everything
that the recipe does, search included. The paired test is the corrected resampled t-test (Nadeau and Bengio 2003).

The whole takes about two hours of processor. `--keep FILE` writes each result as it comes and takes those that are
there, so that it can be gone on with after a kill; everfit's are made anew once its code has changed. FLAML's
environment is kept beside that file. `--draws` shortens the sources' recipe, and the table says so.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# One thread for everybody: set before the libraries start theirs.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import scipy.stats

import everfit
from benchmarks import training_recipes as recipes
from benchmarks.kept import Kept
from benchmarks.report import report, table
from benchmarks.training_tables import TELCO, Table, tables
from everfit.evaluation.metrics import metrics
from everfit.training.noise import standard_error

CPU_GOAL, TELCO_GOAL = 30.0, 0.850
Recipe = Callable[[Table, NDArray[np.bool_], recipes.Effort], tuple[NDArray[np.float64], str]]


@dataclass(frozen=True, slots=True)
class Result:
    """A recipe on one cut of a table; `brier` and `ece` are None for regression."""

    table: str
    recipe: str
    split: int
    draws: int
    score: float
    brier: float | None
    ece: float | None
    cpu: float
    family: str


def main(arguments: Sequence[str] | None = None) -> None:
    asked = _asked(arguments)
    warnings.simplefilter("ignore")  # the other recipes' libraries warn of what they do
    effort = recipes.Effort(asked.draws, asked.trials, asked.seconds)
    made = tables(asked.telco)
    chosen = [made[name]() for name in asked.tables]
    found = list(_results(chosen, asked, effort))
    table(
        [
            "table",
            "metric",
            "recipe",
            "mean",
            "95% interval",
            "Brier",
            "ECE",
            "CPU s a cut",
            "chosen",
            "everfit beside it",
        ],
        (_line(one, recipe, found) for one in chosen for recipe in _names(found, one.name)),
    )
    _last(chosen, found, effort)


def _results(chosen: Sequence[Table], asked: argparse.Namespace, effort: recipes.Effort) -> Iterator[Result]:
    with _contestants(asked) as contestants:
        kept = Kept(asked.keep, len(chosen) * asked.splits * len(contestants))
        for one in chosen:
            for split, test in enumerate(one.splits(asked.splits)):
                for name, recipe in contestants.items():
                    key = f"{one.name}, cut {split}, {name}, {_what(name, effort)}"
                    made = kept.part(key, partial(_run, one, name, recipe, split, test, effort))
                    yield Result(**made)


@contextmanager
def _contestants(asked: argparse.Namespace) -> Iterator[dict[str, Recipe]]:
    """The recipes by name. FLAML's environment lies where it is asked for, beside the kept results, or for this run."""
    with tempfile.TemporaryDirectory() as folder:
        beside = asked.keep.with_name(f"{asked.keep.name}.flaml") if asked.keep else Path(folder)
        wanted = not (asked.no_flaml or asked.quick)
        found = recipes.flaml_environment(asked.flaml or beside) if wanted else None
        if wanted and found is None:
            print("FLAML is left out: it cannot be installed here", file=sys.stderr)
        yield recipes.RECIPES | ({"flaml": partial(recipes.flaml, python=found)} if found else {})


def _what(name: str, effort: recipes.Effort) -> str:
    """What a result depends on besides table and cut: what was kept of anything else is not taken."""
    if name != "everfit":
        return {"sources": f"{effort.draws} draws", "flaml": f"{effort.seconds} s"}.get(name, f"{effort.trials} trials")
    sources = sorted(Path(everfit.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:8]


def _run(
    one: Table,
    name: str,
    recipe: Recipe,
    split: int,
    test: NDArray[np.bool_],
    effort: recipes.Effort,
) -> dict[str, Any]:
    """A result as it is kept."""
    before = _cpu()
    scores, family = recipe(one, test, effort)
    cpu = _cpu() - before
    values = metrics(one.task, one.truth[test], scores, one.classes)
    draws = effort.draws if name == "sources" else 0
    score, brier, ece = values[one.metric], values.get("brier"), values.get("ece")
    result = Result(one.name, name, split, draws, score, brier, ece, cpu, family)
    print(f"{score:.4f} by {family}, {cpu:.1f} s of processor", file=sys.stderr, flush=True)
    return asdict(result)


def _cpu() -> float:
    """Seconds of processor of this process and of its children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def _names(found: Sequence[Result], name: str) -> list[str]:
    return list(dict.fromkeys(one.recipe for one in found if one.table == name))


def _of(found: Sequence[Result], name: str, recipe: str) -> list[Result]:
    return sorted((one for one in found if (one.table, one.recipe) == (name, recipe)), key=lambda one: one.split)


def _line(one: Table, recipe: str, found: Sequence[Result]) -> list[str | float]:
    results = _of(found, one.name, recipe)
    scores = [result.score for result in results]
    half = _margin(scores)
    judged = [[getattr(result, name) for result in results] for name in ("brier", "ece")]
    means = ["-" if None in values else f"{np.mean(values):.4f}" for values in judged]
    families = {result.family: sum(other.family == result.family for other in results) for result in results}
    chosen = ", ".join(f"{count} {family}" for family, count in sorted(families.items()))
    label = f"{recipe}, {results[0].draws} draws" if results[0].draws else recipe
    against = "" if recipe == "everfit" else _beside(_of(found, one.name, "everfit"), results)
    interval = f"{np.mean(scores) - half:.4f} to {np.mean(scores) + half:.4f}" if half else "-"
    cpu = float(np.mean([result.cpu for result in results]))
    return [one.name, one.metric, label, f"{np.mean(scores):.4f}", interval, *means, round(cpu, 2), chosen, against]


def _margin(values: Sequence[float]) -> float:
    """Half the width of the 95% interval of the mean over cuts, 0 for one cut."""
    error = standard_error(values)
    return float(scipy.stats.t.ppf(0.975, len(values) - 1) * error) if error else 0.0


def _beside(own: Sequence[Result], other: Sequence[Result]) -> str:
    difference, p = _test(own, other)
    ratio = sum(one.cpu for one in other) / sum(one.cpu for one in own)
    return f"{difference:+.4f} (p {p:.2f}), {ratio:.0f}x less CPU" if ratio > 1 else f"{difference:+.4f} (p {p:.2f})"


def _test(own: Sequence[Result], other: Sequence[Result]) -> tuple[float, float]:
    """The mean difference on the same cuts and its two-sided p; 1 where there is no spread to judge by."""
    differences = [one.score - two.score for one, two in zip(own, other, strict=True)]
    error = standard_error(differences)
    mean = float(np.mean(differences))
    return mean, float(2 * scipy.stats.t.sf(abs(mean) / error, len(differences) - 1)) if error else 1.0


def _last(chosen: Sequence[Table], found: Sequence[Result], effort: recipes.Effort) -> None:
    own = [one for one in found if one.recipe == "everfit"]
    others = [one for one in found if one.recipe == "sources"]
    ratio = sum(one.cpu for one in others) / sum(one.cpu for one in own)
    tests = {one.name: _test(_of(found, one.name, "everfit"), _of(found, one.name, "sources")) for one in chosen}
    worse = [name for name, (difference, p) in tests.items() if difference < 0 and p < 0.05]
    telco = [one.score for one in own if one.table == "Telco churn"]
    good = not telco or float(np.mean(telco)) >= TELCO_GOAL
    what = f"; Telco's mean AUC {np.mean(telco):.4f}" if telco else ""
    than = f"than the sources' recipe of {effort.draws} draws"
    print(f"\n{ratio:.0f}x less CPU {than}; worse on: {', '.join(worse) or 'none'}{what}")
    goal = (
        f">= {CPU_GOAL:g}x less CPU than the sources' recipe, no worse on any table (paired test), Telco's mean AUC >= "
        f"{TELCO_GOAL:.3f}"
    )
    report("training_quality", round(ratio, 1), goal, ratio >= CPU_GOAL and not worse and good)


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small tables, two cuts, few draws: within a minute")
    parser.add_argument("--telco", type=Path, default=TELCO, help="the Telco churn file; generated churn without it")
    parser.add_argument("--tables", nargs="+", default=list(tables()), choices=list(tables()), metavar="NAME")
    parser.add_argument("--splits", type=int, default=5, help="how often each table is cut")
    parser.add_argument("--draws", type=int, default=20, help="draws of the sources' random search, for each family")
    parser.add_argument("--trials", type=int, default=20, help="trials of Optuna")
    parser.add_argument("--seconds", type=int, default=30, help="FLAML's time budget for a cut")
    parser.add_argument("--flaml", type=Path, help="a folder for FLAML's environment")
    parser.add_argument("--no-flaml", action="store_true", help="leave FLAML out")
    parser.add_argument("--keep", type=Path, help="a file to keep results in and to take them from")
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.tables, asked.splits, asked.draws, asked.trials = ["cancer", "diabetes"], 2, 2, 4
    return asked


if __name__ == "__main__":
    main()
