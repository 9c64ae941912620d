"""Where the model is worse, and what looks as if it were told the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from everfit.data import schema
from everfit.evaluation import leakage
from everfit.evaluation import slices as slicing
from everfit.features.functions import Functions, inputs
from everfit.project.sections.data import Data
from everfit.records.calibration import ThresholdChoice
from everfit.records.evaluation import LeakageWarning, Slices
from everfit.records.model import Problem
from everfit.records.table import Kind, Schema

_SLICED = (Kind.CATEGORICAL, Kind.BOOLEAN, Kind.NUMERIC)


def slices(
    valid: pl.DataFrame,
    columns: Schema,
    scores: np.ndarray[Any, Any],
    truth: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    problem: Problem,
    threshold: ThresholdChoice,
    data: Data,
) -> Slices:
    """The training metric on parts of the test rows, by the table's own columns: also those that the model does not
    read, but for personal ones."""
    apart = {problem.target, data.entity, data.time, *data.personal}
    named = [c.name for c in columns.columns if c.kind in _SLICED and c.name not in apart]
    rows = valid.filter(test)
    parts = schema.arrays(rows, columns, named)
    parts |= {name: rows[name].to_numpy() for name in named if columns[name].kind is Kind.BOOLEAN}
    return slicing.slices(parts, problem.metric, problem.task, truth[test], scores[test], threshold.value)


def leakage_warnings(
    features: pl.DataFrame,
    truth: np.ndarray[Any, Any],
    test: np.ndarray[Any, Any],
    problem: Problem,
    valid: pl.DataFrame,
    columns: Schema,
    functions: Functions,
    names: tuple[str, ...],
    time: str | None,
) -> tuple[LeakageWarning, ...]:
    """What looks as if the model were told the answer. It is for people to judge and stops nothing."""
    found = leakage.warnings(features, truth, test, problem.task)
    if time is None or columns[time].kind is not Kind.DATE:
        return found
    dates = [n for n in inputs(functions, names) if columns[n].kind is Kind.DATE and n != time]
    read = schema.arrays(valid, columns, [*dates, time])
    return (*found, *leakage.future({name: read[name] for name in dates}, read[time]))
