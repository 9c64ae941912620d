"""Truths that arrive late, joined to the predictions they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from everfit.data import target as targets
from everfit.errors import SourceError
from everfit.ports import LabelStore
from everfit.records.model import Manifest
from everfit.records.prediction import Label, PredictionRecord

_IDS = ("prediction_id", "id")
_KNOWN_AT = "known_at"


@dataclass(frozen=True, slots=True)
class Labelled:
    """What became of a table of labels: rows read, joined to a prediction, and new to the store."""

    rows: int
    matched: int
    new: int


def checked(table: pl.DataFrame, manifest: Manifest) -> pl.DataFrame:
    """The table, whose truths are all of the target's classes, or numbers. SourceError at the first that is not: one
    label stored that nobody can read would end every look at the performance from then on."""
    column = next((name for name in (manifest.target, "value") if name in table.columns), None)
    if column is not None and table[column].null_count() < table.height:
        # A missing truth is passed over later; the one before or after it stands in, so that row numbers stay right.
        truths = table.select(pl.col(column).fill_null(strategy="forward").fill_null(strategy="backward"))
        targets.encode(truths, column, manifest.classes, manifest.task)
    return table


def store(
    table: pl.DataFrame,
    predictions: Iterable[PredictionRecord],
    labels: LabelStore,
    target: str,
    entity: str | None,
    now: datetime | None = None,
) -> Labelled:
    """Stores a table of labels. Its rows name a prediction by `prediction_id`, or an entity, and then stand for that
    entity's newest prediction; the truth is in the target's column, or in `value`; `known_at` is optional.

    Raises SourceError when the table has neither form or a time cannot be read. Rows without a truth are passed
    over."""
    value = next((name for name in (target, "value") if name in table.columns), None)
    identity = next((name for name in _IDS if name in table.columns), None)
    if value is None or (identity is None and (entity is None or entity not in table.columns)):
        raise SourceError(
            f"a table of labels needs `prediction_id` or `{entity or 'the entity'}`, and `{target}` or `value`; "
            f"this one has {', '.join(table.columns)}",
            where="labels",
            fix="rename its columns",
        )
    known = table.filter(pl.col(value).is_not_null())
    found = {record.id: record.id for record in predictions} if identity else newest(predictions)
    keys = known[identity or entity or ""].cast(pl.String).to_list()
    times = known[_KNOWN_AT].to_list() if _KNOWN_AT in table.columns else [None] * known.height
    rows = zip(keys, known[value].to_list(), times, strict=True)
    now = now or datetime.now(UTC)
    matched = [Label(found[k], _value(v), _moment(t, now)) for k, v, t in rows if k in found]
    return Labelled(table.height, len(matched), labels.put(matched))


def newest(predictions: Iterable[PredictionRecord]) -> Mapping[str, str]:
    """Each entity's last prediction."""
    return {record.entity: record.id for record in predictions if record.entity is not None and record.error is None}


def _value(value: object) -> str | float:
    return float(value) if isinstance(value, float) else str(value)


def _moment(value: object, now: datetime) -> datetime:
    if value is None:
        return now
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        fix = "write times as in 2026-11-01T12:00:00Z"
        raise SourceError(f"{str(value)!r} is no time", where=f"labels, column {_KNOWN_AT!r}", fix=fix) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
