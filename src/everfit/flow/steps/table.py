"""From a source to a valid table with a known identity, a target and a test part."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from everfit.data import checks, dictionary, fingerprint, masking, recent, schema, weights
from everfit.data import split as splitting
from everfit.data import target as targets
from everfit.data.named import demand_column
from everfit.errors import ChecksFailed
from everfit.evaluation import metrics
from everfit.ports import Batches, Source
from everfit.project.sections.data import Check, Split, Target
from everfit.records.model import Problem
from everfit.records.table import DatasetVersion, Kind, QualityReport, Schema, Task


def table(source: Source, personal: Mapping[str, Any], masking_key: str | None) -> pl.DataFrame:
    """The raw table, its text as codes; personal data is masked before anything else sees it. A large one is read a
    piece at a time."""
    large = isinstance(source, Batches) and source.count() > dictionary.PIECE
    pieces = source.batches(dictionary.PIECE) if isinstance(source, Batches) and large else [source.read()]
    return dictionary.stacked(masking.mask(piece, personal, masking_key) for piece in pieces)


def columns(
    table: pl.DataFrame,
    kinds: Mapping[str, Kind],
    target: Target,
    entity: str | None,
    time: str | None,
    weight_column: str | None,
) -> Schema:
    """What each column means. Raises ProjectError for a setting that names a column that is not there."""
    named = {
        "data.target.column": target.column,
        "data.entity": entity,
        "data.time": time,
        "data.weight": weight_column,
    }
    for setting, name in named.items():
        if name is not None:
            demand_column(name, table.columns, setting)
    return schema.infer(table, kinds)


def quality(table: pl.DataFrame, columns: Schema, rules: tuple[Check, ...], target: Target) -> QualityReport:
    """The result of every check, passed or not."""
    return checks.check(table, columns, rules, target.column)


def valid(
    table: pl.DataFrame, columns: Schema, quality: QualityReport, time: str | None, since: datetime | None
) -> pl.DataFrame:
    """The table with each column in its type, and without the rows before `data.since`. Raises ChecksFailed with the
    list of issues, and then nothing that comes after runs."""
    if not quality.is_valid:
        issues = "\n".join(
            f"  {issue.column or 'table'}: {issue.check}: {issue.observed}; expected {issue.expected}"
            for issue in quality.issues
        )
        raise ChecksFailed(
            f"{len(quality.issues)} of {len(quality.results)} checks failed:\n{issues}",
            fix="mend the data at its source, or change `checks` in everfit.yaml if the rule is wrong",
        )
    typed = pl.DataFrame([dictionary.encoded(series) for series in schema.conformed(table, columns)])
    return recent.since(typed, time, since)


def dataset(valid: pl.DataFrame, source_name: str) -> DatasetVersion:
    """The identity of the table by content."""
    return DatasetVersion(fingerprint.fingerprint(valid), valid.height, valid.width, source_name)


def problem(valid: pl.DataFrame, columns: Schema, target: Target, metric: str | None) -> Problem:
    """What is to be predicted, inferred from the target's values where the project does not say."""
    task = targets.task(columns, target)
    chosen = metric or metrics.default_metric(task)
    return Problem(task, target.column, targets.classes(valid, target, task, columns), chosen)


def truth(valid: pl.DataFrame, problem: Problem) -> np.ndarray[Any, Any]:
    """The target as numbers: (rows,) class indices, or values for regression."""
    return targets.encode(valid, problem.target, problem.classes, problem.task)


def weight(valid: pl.DataFrame, weight_column: str | None) -> np.ndarray[Any, Any]:
    """(rows,) how much each row counts in fitting; empty where all count the same."""
    return np.empty(0) if weight_column is None else weights.weights(valid, weight_column)


def test(
    valid: pl.DataFrame,
    truth: np.ndarray[Any, Any],
    problem: Problem,
    split: Split,
    time: str | None,
    entity: str | None,
) -> np.ndarray[Any, Any]:
    """(rows,) true where the row is held out for the test."""
    stratify = problem.task is not Task.REGRESSION
    return splitting.test_rows(valid, split, truth, stratify, time, entity)
