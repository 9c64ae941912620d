"""Batches through the predictor that answers requests, so that a row gets the same answer either way."""

from __future__ import annotations

from typing import Any

import polars as pl

from everfit.serving.predictor import Predictor

_CHUNK = 1_000


def predict(predictor: Predictor, table: pl.DataFrame, score_name: str = "score") -> pl.DataFrame:
    """(rows,) predictions in the table's order, with the id under which each is in the prediction log.

    Columns that the model does not read are passed over. Raises what `Predictor.predict` raises, and then the rows
    answered before that are in the log."""
    manifest = predictor.snapshot.champion.manifest
    known = table.select(name for name in table.columns if name in manifest.example)
    chunks = (known[start : start + _CHUNK] for start in range(0, known.height, _CHUNK))
    answers = [answer for chunk in chunks for answer in predictor.predict(chunk.to_dicts())]
    columns: dict[str, list[Any]] = {
        "id": [a.id for a in answers],
        manifest.entity or "entity": [a.entity for a in answers],
        "prediction": [a.prediction for a in answers],
        score_name: [a.score for a in answers],
        "version": [a.version for a in answers],
        "arm": [a.arm for a in answers],
    }
    return pl.DataFrame(columns)
