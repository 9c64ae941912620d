"""Batches through the predictor that answers requests, so that a row gets the same answer either way."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from everfit.data.frames import cells
from everfit.errors import RequestError, SourceError
from everfit.flow.bulk import Answer
from everfit.project.problems import near
from everfit.project.sections.serving import Response
from everfit.records.prediction import Prediction
from everfit.serving.answers import entity_field
from everfit.serving.arms import Snapshot
from everfit.serving.bulk import answers
from everfit.serving.model import Model
from everfit.serving.predictor import Predictor

_CHUNK = 1_000
_ROW = re.compile(r"\brow (\d+)$")
_PLACE = re.compile(r"\brows\[(\d+)\]\.")


def predict(predictor: Predictor, table: pl.DataFrame, score_name: str = "score", before: int = 0) -> pl.DataFrame:
    """(rows,) predictions in the table's order, with the id under which each is in the prediction log. `before` is how
    many rows of a longer table came before these, for the messages.

    Columns that the model does not read are passed over. Raises what `Predictor.predict` raises, and then the rows
    answered before that are in the log; SourceError for a column of lists or the like."""
    champion = predictor.snapshot.champion
    manifest = champion.manifest
    known = cells(table.select(name for name in table.columns if name in manifest.example))
    if table.height and known.columns != [manifest.entity]:
        _demand_columns(table.columns, champion.parser.required)
    given = [answer for start in range(0, known.height, _CHUNK) for answer in _chunk(predictor, known, start, before)]
    entity = entity_field(manifest.entity or "entity", Response(score=score_name))
    return pl.DataFrame(
        [
            pl.Series("id", [a.id for a in given], pl.String),
            pl.Series(entity, [a.entity for a in given], pl.String),
            pl.Series("prediction", [a.prediction for a in given], pl.String if manifest.classes else pl.Float64),
            pl.Series(score_name, [a.score for a in given], pl.Float64),
            pl.Series("version", [a.version for a in given], pl.Int64),
            pl.Series("arm", [a.arm for a in given], pl.String),
        ]
    )


def logged(predictor: Predictor, score_name: str) -> Answer:
    """For `bulk.score`: every arm answers its rows, and all answers are in the prediction log."""
    return lambda piece, before: predict(predictor, piece, score_name, before)


def unlogged(snapshot: Snapshot, score_name: str) -> Answer:
    """For `bulk.score`: the champion answers every row, and nobody writes it down."""
    champion, arm = snapshot.champion, snapshot.table.arms[0]

    def answer(piece: pl.DataFrame, before: int) -> pl.DataFrame:
        _demand_columns(piece.columns, champion.parser.required)
        try:
            found = answers(champion, piece, score_name)
        except RequestError as error:
            raise type(error)(_counted(error.what, before), where="table", fix=error.fix) from error
        except SourceError as error:
            place = _ROW.sub(lambda row: f"row {before + int(row[1])}", error.where)
            raise SourceError(error.what, where=place, fix=error.fix) from error
        return found.with_columns(pl.lit(arm.version, pl.Int64).alias("version"), pl.lit(arm.name).alias("arm"))

    return answer


def columns(champion: Model) -> set[str]:
    """The columns that unlogged answers depend on."""
    entity = champion.manifest.entity
    return {*champion.parser.required, *(() if entity is None else (entity,))}


def _demand_columns(given: Sequence[str], required: Sequence[str]) -> None:
    """Raises RequestError for the columns that are absent, once and not in every row."""
    absent = [name for name in required if name not in given]
    if absent:
        free = [name for name in given if name not in required]
        said = "; ".join(f"there is no column {name!r}{near(name, free)}" for name in absent).replace("; did", ", did")
        raise RequestError(said, where="table", fix="add or rename what is missing: the model reads these columns")


def _chunk(predictor: Predictor, known: pl.DataFrame, start: int, before: int) -> Sequence[Prediction]:
    """The answers to the rows from `start` on. A refusal counts the rows as the whole table does, from 1."""
    rows = known[start : start + _CHUNK].to_dicts()
    try:
        return predictor.predict(rows)
    except RequestError as error:
        alone = f"row {before + start + 1}, " if len(rows) == 1 else ""
        what = alone + _counted(error.what, before + start)
        raise type(error)(what, where="table", fix=error.fix) from error


def _counted(what: str, before: int) -> str:
    """The message with its rows counted as the whole table has them, from 1."""
    return _PLACE.sub(lambda found: f"row {before + int(found[1]) + 1}, ", what)
