"""The tables that training is compared on: Telco churn where its file is at hand, scikit-learn's bundled ones, and
generated ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn import datasets

from everfit.records.table import Task
from everfit.testing import churn

TELCO = Path(__file__).parents[2] / "shared" / "data" / "telco-customer-churn.csv"


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of numbers (Float64) and of levels (String), and what to predict: class indices, or values."""

    name: str
    task: Task
    features: pl.DataFrame
    truth: NDArray[Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """A name for each class; none for regression."""
        return () if self.task is Task.REGRESSION else tuple(str(i) for i in range(int(self.truth.max()) + 1))

    @property
    def metric(self) -> str:
        """What the table is judged by."""
        return "r2" if self.task is Task.REGRESSION else "roc_auc"

    def splits(self, number: int) -> Iterator[NDArray[np.bool_]]:
        """(rows,) true for the test rows, a fifth of them, of each class where there are classes."""
        from sklearn.model_selection import train_test_split

        rows = np.arange(len(self.truth))
        stratify = None if self.task is Task.REGRESSION else self.truth
        for seed in range(number):
            _, test = train_test_split(rows, test_size=0.2, stratify=stratify, random_state=seed)
            yield np.isin(rows, test)


def telco(path: Path = TELCO) -> Table:
    """Telco churn, or generated churn of as many rows where the file is not there: the table's name says which."""
    if not path.is_file():
        found = churn.customers(7_000, 1, datetime(2025, 1, 1, tzinfo=UTC), 90)
        y = (found[churn.TARGET] == churn.POSITIVE).to_numpy().astype(np.int64)
        return Table("churn, generated", Task.BINARY, plain(found.select(churn.FEATURES)), y)
    found = pl.read_csv(path, infer_schema_length=None, null_values=[" ", ""])
    y = (found["Churn"] == "Yes").to_numpy().astype(np.int64)
    return Table("Telco churn", Task.BINARY, plain(found.drop("Churn", "customerID")), y)


def bundled(name: str, task: Task, load: Callable[..., Any]) -> Table:
    found = load()
    columns = {str(n): found.data[:, i].astype(float) for i, n in enumerate(found.feature_names)}
    return Table(name, task, pl.DataFrame(columns), np.asarray(found.target))


def three_classes() -> Table:
    x, y = datasets.make_classification(
        3_000, 12, n_informative=6, n_classes=3, n_clusters_per_class=2, flip_y=0.1, class_sep=0.8, random_state=3
    )
    return Table("three classes, generated", Task.MULTICLASS, _frame(x), y)


def friedman() -> Table:
    x, y = datasets.make_friedman1(2_000, 10, noise=1.0, random_state=4)
    return Table("Friedman 1, generated", Task.REGRESSION, _frame(x), y)


def tables(path: Path = TELCO) -> Mapping[str, Callable[[], Table]]:
    """Every table by a short name, made when asked for."""
    return {
        "telco": lambda: telco(path),
        "cancer": lambda: bundled("breast cancer", Task.BINARY, datasets.load_breast_cancer),
        "classes": three_classes,
        "diabetes": lambda: bundled("diabetes", Task.REGRESSION, datasets.load_diabetes),
        "friedman": friedman,
    }


def plain(found: pl.DataFrame) -> pl.DataFrame:
    """Numbers as Float64, everything else as text."""
    return found.select(
        column.cast(pl.Float64) if column.dtype.is_numeric() else column.cast(pl.String) for column in found
    )


def _frame(x: NDArray[np.float64]) -> pl.DataFrame:
    return pl.DataFrame({f"x{i}": x[:, i] for i in range(x.shape[1])})
