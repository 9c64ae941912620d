"""Whole tables through a model, column by column: what `everfit predict --no-log` does to each piece of a file."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.data.reading import text
from everfit.data.schema import arrays, conform
from everfit.project.sections.serving import Response
from everfit.records.table import Schema, Task
from everfit.serving.answers import entity_field
from everfit.serving.columnar import raw
from everfit.serving.model import Model, demand_finite


def answers(model: Model, table: pl.DataFrame, score_name: str) -> pl.DataFrame:
    """The entity, the prediction and the score of each row, the same as `Model.answer` gives; columns beyond
    `model.parser.required` are passed over.

    Raises SourceError for a value that cannot be read, RequestError for one that a check calls impossible, and
    StepFailed as `Model.answer` does.
    """
    manifest = model.manifest
    scores = _compiled(model, table)
    if scores is None:
        scores = _long_way(model, table)
    demand_finite(manifest, scores)
    called, score = _judged(model, scores)
    found = [called, pl.Series(score_name, score)]
    if manifest.entity is not None and manifest.entity in table.columns:
        name = entity_field(manifest.entity, Response(score=score_name))
        found.insert(0, text(table[manifest.entity]).alias(name))
    return pl.DataFrame(found)


def _compiled(model: Model, table: pl.DataFrame) -> NDArray[np.float64] | None:
    """None where the model has no compiled form that reads columns, or a value in them is not as it should be."""
    compiled = model.compiled
    if compiled is None or compiled.typed is None:
        return None
    rows = raw(table, model.manifest.schema, compiled.encoder, model.parser)
    return None if rows is None else compiled.scorer.score(compiled.encoder.columns(rows))


def _long_way(model: Model, table: pl.DataFrame) -> NDArray[np.float64]:
    required = model.parser.required
    schema = Schema(tuple(model.manifest.schema[name] for name in required))
    columns = arrays(conform(table.select(required), schema), schema, required)
    model.parser.check(columns)
    return model.scores(columns)


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
