"""Explanations from the flat arrays beside those of the shap library: milliseconds a row, and how far they differ.

    python -m benchmarks.explanations [--quick]

Forests and boosters of the churn table, each row by itself as a caller asks for it, in turns in one process, on one
thread. The first explanation of a version, which lays out its trees, is timed apart.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from benchmarks.report import Cell, report, table
from benchmarks.served_models import Customers
from everfit.explaining.form import Parts
from everfit.training.flatten.form import flat
from everfit.training.scorers import library, scorer

FAMILIES = ("random_forest", "gradient_boosting", "hist_gradient_boosting", "xgboost", "lightgbm", "catboost")
GOAL_MS, GOAL_APART = 100.0, 1e-5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    quick = parser.parse_args().quick
    warnings.simplefilter("ignore")
    drawn = Customers.drawn(2_000 if quick else 10_000)
    with threadpool_limits(limits=1):
        rows = [[family, *measured(drawn, family, 10 if quick else 50)] for family in FAMILIES]
    table(["family", "nodes", "first, ms", "a row, ms", "shap, a row, ms", "ratio", "differ by"], rows)
    slowest, apart = max(float(str(row[3])) for row in rows), max(float(str(row[6])) for row in rows)
    goal = f"a row within {GOAL_MS:g} ms, equal to the library's within {GOAL_APART:g} (differ by {apart:.1g})"
    report("explanations", round(slowest, 2), goal, slowest <= GOAL_MS and apart <= GOAL_APART)


def measured(drawn: Customers, family: str, count: int) -> list[Cell]:
    """Nodes, milliseconds of the first explanation, of one after it, of one of the library's, their ratio, and the
    greatest difference of a contribution, relative where it exceeds 1."""
    import shap

    fitted = scorer(drawn.estimator(family))
    form, matrix = flat(fitted, 2), np.ascontiguousarray(drawn.matrix[:count])
    began = perf_counter()
    parts = Parts(form, lambda terms: terms(matrix).mean(axis=0))
    parts.apart(matrix[0], 0)
    first = (perf_counter() - began) * 1e3
    explainer = shap.TreeExplainer(library(fitted))

    def theirs(row: Any) -> Any:
        found = np.asarray(explainer.shap_values(row[None, :], check_additivity=False))[0]
        return found[:, -1] if found.ndim == 2 else found

    ours, own = timed(lambda row: parts.apart(row, 0).amounts, matrix)
    others, expected = timed(theirs, matrix)
    apart = float((np.abs(own - expected) / np.maximum(1.0, np.abs(expected))).max())
    nodes = sum(len(getattr(part, "nodes", ())) for part in form.parts)
    return [nodes, first, ours, others, others / ours, apart]


def timed(explain: Callable[[Any], Any], matrix: Any) -> tuple[float, Any]:
    """Milliseconds a row in the median, and the contributions of all."""
    explain(matrix[0])
    spent, found = [], []
    for row in matrix:
        began = perf_counter()
        found.append(explain(row))
        spent.append((perf_counter() - began) * 1e3)
    return median(spent), np.array(found)


if __name__ == "__main__":
    main()
