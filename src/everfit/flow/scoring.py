"""Batches through the predictor that answers requests, so that a row gets the same answer either way."""

from __future__ import annotations

import polars as pl

from everfit.data.frames import cells
from everfit.project.sections import Response
from everfit.serving.answers import entity_field
from everfit.serving.predictor import Predictor

_CHUNK = 1_000


def predict(predictor: Predictor, table: pl.DataFrame, score_name: str = "score") -> pl.DataFrame:
    """(rows,) predictions in the table's order, with the id under which each is in the prediction log.

    Columns that the model does not read are passed over. Raises what `Predictor.predict` raises, and then the rows
    answered before that are in the log; SourceError for a column of lists or the like."""
    manifest = predictor.snapshot.champion.manifest
    known = cells(table.select(name for name in table.columns if name in manifest.example))
    if table.height and not known.width:
        predictor.predict([{}])  # refused as any row without its columns; to polars, no columns are no rows
    chunks = (known[start : start + _CHUNK] for start in range(0, known.height, _CHUNK))
    answers = [answer for chunk in chunks for answer in predictor.predict(chunk.to_dicts())]
    entity = entity_field(manifest.entity or "entity", Response(score=score_name))
    return pl.DataFrame(
        [
            pl.Series("id", [a.id for a in answers], pl.String),
            pl.Series(entity, [a.entity for a in answers], pl.String),
            pl.Series("prediction", [a.prediction for a in answers], pl.String if manifest.classes else pl.Float64),
            pl.Series(score_name, [a.score for a in answers], pl.Float64),
            pl.Series("version", [a.version for a in answers], pl.Int64),
            pl.Series("arm", [a.arm for a in answers], pl.String),
        ]
    )
