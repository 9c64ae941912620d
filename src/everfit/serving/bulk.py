"""Whole tables through a model, column by column: what `everfit predict --no-log` does to each piece of a file."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.compiled.encoding import UNKNOWN, CompiledEncoder
from everfit.data.reading import text
from everfit.data.schema import arrays, conform
from everfit.project.sections.serving import Response
from everfit.records.table import Schema, Task
from everfit.serving.answers import entity_field
from everfit.serving.model import Model, demand_finite
from everfit.serving.rows import RowParser


def answers(model: Model, table: pl.DataFrame, score_name: str) -> pl.DataFrame:
    """The entity, the prediction and the score of each row, the same as `Model.answer` gives; columns beyond
    `model.parser.required` are passed over.

    Raises SourceError for a value that cannot be read, RequestError for one that a check calls impossible, and
    StepFailed as `Model.answer` does.
    """
    manifest, required = model.manifest, model.parser.required
    schema = Schema(tuple(manifest.schema[name] for name in required))
    read = conform(table.select(required), schema)
    if not is_possible(model.parser, read):
        model.parser.check(arrays(read, schema, required))
    if model.compiled is not None and model.compiled.typed is not None:
        scores = model.compiled.scored(raw(model.compiled.encoder, read))
    else:
        scores = model.scores(arrays(read, schema, required))
    demand_finite(manifest, scores)
    called, score = _judged(model, scores)
    found = [called, pl.Series(score_name, score)]
    if manifest.entity is not None and manifest.entity in table.columns:
        name = entity_field(manifest.entity, Response(score=score_name))
        found.insert(0, text(table[manifest.entity]).alias(name))
    return pl.DataFrame(found)


def raw(encoder: CompiledEncoder, read: pl.DataFrame) -> NDArray[np.float64]:
    """A conformed table as the encoder's raw rows, (rows, inputs): numbers with NaN, and codes of levels."""
    out = np.empty((read.height, len(encoder.names)))
    for place, name in enumerate(encoder.names):
        column = read[name]
        if place >= encoder.numbers:
            codes = encoder.codes[place - encoder.numbers]
            column = column.replace_strict(codes, default=UNKNOWN, return_dtype=pl.Float64).fill_null(UNKNOWN)
        out[:, place] = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return out


def is_possible(parser: RowParser, read: pl.DataFrame) -> bool:
    """Whether no value breaks a check, found a column at a time; which one does is the parser's to say."""
    return not any(_breaks(parser, column) for column in read)


def _breaks(parser: RowParser, column: pl.Series) -> bool:
    plan = parser.plan(column.name)
    if column.dtype == pl.Boolean:
        column = column.cast(pl.Float64)
    if plan.allowed is not None:
        return bool((column.is_not_null() & ~column.is_in(list(plan.allowed))).any())
    return column.dtype == pl.Float64 and bool(((column < plan.low) | (column > plan.high)).any())


def _judged(model: Model, scores: NDArray[np.float64]) -> tuple[pl.Series, NDArray[np.float64]]:
    """What `Model.judge` says, for all rows at once."""
    manifest = model.manifest
    if manifest.task is Task.REGRESSION:
        return pl.Series("prediction", scores), scores
    if manifest.task is Task.BINARY:
        score = np.ascontiguousarray(scores[:, -1])
        places = (score >= manifest.threshold).astype(np.int64)
    else:
        score, places = scores.max(axis=1), scores.argmax(axis=1)
    names = pl.Series(manifest.classes, dtype=pl.String)
    return names.gather(pl.Series(places)).alias("prediction"), score
