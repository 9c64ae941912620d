"""From a valid table to what the model reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from everfit.data import dictionary, schema
from everfit.data.folds import fold_numbers, thinned
from everfit.features import encoder as encoding
from everfit.features import rowwise, select
from everfit.features.compute import compute
from everfit.features.encoder import Column
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
    """(rows, features): Float64 with NaN, and text as codes. The user's functions run over the table a piece at a time,
    the same objects that serve one row. Raises ProjectError for a function that looks at other rows, for online there
    are none."""
    called = [name for name in names if name in functions.callables]
    pieces = (_computed(piece, columns, functions, called) for piece in valid.iter_slices(dictionary.PIECE))
    made = dictionary.stacked(pieces) if called else pl.DataFrame()
    return pl.DataFrame([made[name] if name in called else _number_or_text(valid[name]) for name in names])


def _computed(piece: pl.DataFrame, columns: Schema, functions: Functions, called: list[str]) -> pl.DataFrame:
    read = schema.arrays(piece, columns, inputs(functions, called))
    found = compute(functions, read, called)
    rowwise.check(functions, read, found)
    return frame(found)


def _number_or_text(column: pl.Series) -> pl.Series:
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return column.cast(pl.Float64).fill_null(float("nan"))
    return column


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
    found = columns_of(features)
    return encoding.fit(found, kinds(found), tuple(features.columns))


def matrix(
    encoder: Encoder, features: pl.DataFrame, rows: np.ndarray[Any, Any] | None = None
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """(rows, encoded columns) float64, of the rows for which `rows` is true where that is given. A large table is
    encoded a piece at a time into the matrix itself."""
    height = features.height if rows is None else int(rows.sum())
    out = np.empty((height, len(encoding.output_names(encoder))))
    done = 0
    for start in range(0, features.height, dictionary.PIECE):
        piece = features.slice(start, dictionary.PIECE)
        piece = piece if rows is None else piece.filter(rows[start : start + dictionary.PIECE])
        encoding.transform(encoder, columns_of(piece), out[done : done + piece.height])
        done += piece.height
    return out


def columns_of(features: pl.DataFrame) -> dict[str, Column]:
    """Features as encoders and profiles take them: (rows,) float64 with NaN, and text as it is held."""
    return {column.name: column if _is_text(column) else column.to_numpy() for column in features}


def arrays(features: pl.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    """Features as arrays, the way a request's come: float64 with NaN, or text with None. For some rows, not for all:
    each text becomes an object."""
    return {column.name: column.to_numpy() for column in features}


def _is_text(column: pl.Series) -> bool:
    return column.dtype == pl.String or isinstance(column.dtype, pl.Enum)


def kinds(found: Mapping[str, Column]) -> dict[str, Kind]:
    """Features are numbers or levels: booleans are 0 and 1 by then."""
    return {name: Kind.NUMERIC if _is_number(values) else Kind.CATEGORICAL for name, values in found.items()}


def _is_number(values: Column) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind == "f"


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
