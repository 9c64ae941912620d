"""How fast the churn generator is, and whether its drifts do to a model what they say.

    python -m benchmarks.churn_generator [--quick]

Speed: rows a second for growing tables. Truth: a model fitted before the drift is scored after it, beside one fitted
on drifted rows and the best score possible. A covariate or prior drift leaves the ranking nearly as good; a concept
drift breaks the old model, and a new one recovers. The last line holds the rows a second of the largest table.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from benchmarks.report import report, table
from everfit.evaluation.metrics import area_under_roc
from everfit.testing.churn import FEATURES, TARGET, Drift, customers

START = datetime(2025, 1, 1, tzinfo=UTC)
Outcome = tuple[float, float, float, float]
GOAL_SECONDS = 5.0  # for a million rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="at most 100,000 rows")
    quick = parser.parse_args().quick
    speeds = [(rows, seconds(rows)) for rows in (10_000, 100_000, 1_000_000)[: 2 if quick else 3]]
    table(["rows", "seconds", "rows/s"], [(rows, took, rows / took) for rows, took in speeds])
    print()
    found = drifts(10_000 if quick else 60_000)
    table(
        ["drift", "churn rate", "old model's AUC", "new model's AUC", "best possible"],
        [(name, *each) for name, each in found.items()],
    )
    per_second = speeds[-1][0] / speeds[-1][1]
    goal = f"1M rows in {GOAL_SECONDS:g} s, AUC .80-.87 without drift, concept drift costs >= .10 and is recovered"
    report("churn_generator", round(per_second), goal, per_second >= 1e6 / GOAL_SECONDS and as_labelled(found))


def seconds(rows: int) -> float:
    began = perf_counter()
    customers(rows, 1, START, 90)
    return perf_counter() - began


def drifts(rows: int) -> dict[str, Outcome]:
    """For each drift, after it: churn rate, and the AUC of the old model, a new model and the truth."""
    old = fitted(customers(rows, 1, START, 60))
    later = START + timedelta(days=60)
    worlds = {
        "none": None,
        "covariate": Drift("covariate", 1.0, later),
        "prior": Drift("prior", 1.0, later),
        "concept .5": Drift("concept", 0.5, later),
        "concept 1": Drift("concept", 1.0, later),
        "missing": Drift("missing", 1.0, later, column="contract_type"),
    }
    found: dict[str, Outcome] = {}
    for name, drift in worlds.items():
        new = fitted(customers(rows, 2, later, 60, drift))
        test = customers(rows, 3, later, 60, drift, truth=True)
        scores = [model.predict_proba(inputs(test))[:, 1] for model in (old, new)]
        areas = [area_under_roc(left(test), score) for score in (*scores, test["true_probability"].to_numpy())]
        found[name] = (float(left(test).mean()), areas[0], areas[1], areas[2])
    return found


def as_labelled(found: Mapping[str, Outcome]) -> bool:
    """Whether each drift changes what it names: the rate, the old model's AUC, or neither much."""
    rate, old, new = ({name: each[place] for name, each in found.items()} for place in (0, 1, 2))
    return bool(
        0.80 <= old["none"] <= 0.87
        and rate["prior"] > rate["none"] + 0.05
        and abs(old["prior"] - old["none"]) < 0.03
        and abs(old["covariate"] - new["covariate"]) < 0.03
        and old["concept 1"] < old["concept .5"] < old["none"] - 0.05
        and new["concept 1"] > old["concept 1"] + 0.10
        and old["missing"] < old["none"]
    )


def fitted(frame: pl.DataFrame) -> Any:
    texts = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    encoder = make_column_transformer(
        (texts, make_column_selector(dtype_include=[object, "str"])), remainder="passthrough"
    )
    model = make_pipeline(encoder, HistGradientBoostingClassifier(max_iter=60, random_state=0))
    return model.fit(inputs(frame), left(frame))


def inputs(frame: pl.DataFrame) -> Any:
    return frame.select(FEATURES).to_pandas()


def left(frame: pl.DataFrame) -> NDArray[np.bool_]:
    return (frame[TARGET] == "Yes").to_numpy()


if __name__ == "__main__":
    main()
