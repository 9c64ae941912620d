"""From a valid table to what the model reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from everfit.data import schema
from everfit.data.folds import fold_numbers, thinned
from everfit.features import encoder as encoding
from everfit.features import rowwise, select
from everfit.features.compute import compute
from everfit.features.functions import Functions, inputs
from everfit.project.sections.data import Data, Split
from everfit.records.features import Encoder
from everfit.records.model import Problem
from everfit.records.table import Kind, Schema, Task
from everfit.training.trial import Fold


def names(columns: Schema, functions: Functions, data: Data, use: tuple[str, ...] | None) -> tuple[str, ...]:
    """The features that the model reads, in order."""
    return select.select(
        columns,
        functions,
        target=data.target.column,
        entity=data.entity,
        time=data.time,
        exclude=(*data.exclude, *filter(None, [data.weight])),
        personal=tuple(data.personal),
        use=use,
    )


def features(valid: pl.DataFrame, columns: Schema, functions: Functions, names: tuple[str, ...]) -> pl.DataFrame:
    """(rows, features): the user's functions run over the whole table, the same objects that serve one row.
    Raises ProjectError for a function that looks at other rows, for online there are none."""
    found = schema.arrays(valid, columns, inputs(functions, names))
    rowwise.check(functions, found, names)
    return frame(compute(functions, found, names))


def encoder(features: pl.DataFrame, test: np.ndarray[Any, Any]) -> Encoder:
    """Fitted on training rows only."""
    return fitted(features.filter(~test))


def searched_rows(
    truth: np.ndarray[Any, Any], test: np.ndarray[Any, Any], most_rows: int, seed: int
) -> np.ndarray[Any, Any]:
    """(rows,) true for the training rows that the search reads: all of them, or as many as it may."""
    found: np.ndarray[Any, Any] = ~test
    found[found] = thinned(truth[~test], most_rows, seed)
    return found


def folds(
    features: pl.DataFrame,
    truth: np.ndarray[Any, Any],
    weight: np.ndarray[Any, Any],
    searched_rows: np.ndarray[Any, Any],
    problem: Problem,
    split: Split,
    time: str | None,
    valid: pl.DataFrame,
    fold_count: int,
    seed: int,
) -> tuple[Fold, ...]:
    """The rows of the search cut for cross-validation; each fold has an encoder of its own, fitted on its own part."""
    rows = np.flatnonzero(searched_rows)
    number = fold_numbers(
        truth[rows],
        fold_count,
        stratify=problem.task is not Task.REGRESSION,
        group=valid[split.group].to_numpy()[rows] if split.group else None,
        time=valid[time].to_numpy()[rows] if split.by == "time" and time else None,
        seed=seed,
    )
    return tuple(_fold(features, truth, weight, rows, number == k) for k in range(fold_count))


def fitted(features: pl.DataFrame) -> Encoder:
    """An encoder of all columns of a frame of features."""
    found = arrays(features)
    return encoding.fit(found, kinds(found), tuple(features.columns))


def matrix(encoder: Encoder, features: pl.DataFrame) -> np.ndarray[Any, Any]:
    """(rows, encoded columns) float64."""
    return encoding.transform(encoder, arrays(features))


def arrays(features: pl.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    """Features as the arrays that encoders and profiles take: float64 with NaN, or text with None."""
    return {column.name: column.to_numpy() for column in features}


def kinds(found: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Kind]:
    """Features are numbers or levels: booleans are 0 and 1 by then."""
    return {name: Kind.NUMERIC if v.dtype.kind == "f" else Kind.CATEGORICAL for name, v in found.items()}


def frame(found: dict[str, np.ndarray[Any, Any]]) -> pl.DataFrame:
    """The arrays as a table that can be stored."""
    return pl.DataFrame({name: _column(values) for name, values in found.items()})


def _column(values: np.ndarray[Any, Any]) -> pl.Series:
    if values.dtype.kind == "f":
        return pl.Series(values, dtype=pl.Float64, nan_to_null=False)
    # Of an array of objects polars takes the type of the first, which may be missing; of a list, the type asked for.
    return pl.Series(values.tolist(), dtype=pl.String)


def column_names(encoder: Encoder) -> np.ndarray[Any, Any]:
    """The names of the matrix's columns as an array that can be stored."""
    return np.array(encoding.output_names(encoder), dtype=np.str_)


def _fold(
    features: pl.DataFrame,
    truth: np.ndarray[Any, Any],
    weight: np.ndarray[Any, Any],
    rows: np.ndarray[Any, Any],
    held: np.ndarray[Any, Any],
) -> Fold:
    fit, check = rows[~held], rows[held]
    own = fitted(features[fit])
    return Fold(
        x_train=matrix(own, features[fit]),
        y_train=truth[fit],
        w_train=weight[fit] if len(weight) else weight,
        x_valid=matrix(own, features[check]),
        y_valid=truth[check],
        rows=np.flatnonzero(held),
        columns=column_names(own),
    )
