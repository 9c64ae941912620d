"""Truths that arrive late, joined to the predictions they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from everfit.data.reading import flat, text
from everfit.data.target import encode
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


def store(
    table: pl.DataFrame,
    predictions: Iterable[PredictionRecord],
    labels: LabelStore,
    manifest: Manifest,
    now: datetime | None = None,
) -> Labelled:
    """Stores a table of labels about predictions of the model's problem. Its rows name a prediction by `prediction_id`,
    or an entity, and then stand for that entity's newest prediction; the truth is in the target's column, or in
    `value`; `known_at` is optional.

    Raises SourceError, and stores nothing, when the table has neither form or a truth or time in it is none. Rows
    without a truth are passed over."""
    entity, target = manifest.entity, manifest.target
    value = next((name for name in (target, "value") if name in table.columns), None)
    identity = next((name for name in _IDS if name in table.columns), None)
    if value is None or (identity is None and (entity is None or entity not in table.columns)):
        raise SourceError(
            f"a table of labels needs `prediction_id` or `{entity or 'the entity'}`, and `{target}` or `value`; "
            f"this one has {', '.join(table.columns)}",
            where="labels",
            fix="rename its columns",
        )
    known = table.filter(text(flat(table[value])).is_not_null())
    found = {record.id: record.id for record in predictions} if identity else newest(predictions)
    keys = text(flat(known[identity or entity or ""])).to_list()
    times = known[_KNOWN_AT].to_list() if _KNOWN_AT in table.columns else [None] * known.height
    now = now or datetime.now(UTC)
    rows = zip(keys, _truths(known, value, manifest), times, strict=True)
    about = [Label(found.get(key, ""), truth, _moment(time, now)) for key, truth, time in rows]
    matched = [label for label in about if label.prediction_id]
    return Labelled(table.height, len(matched), labels.put(matched))


def newest(predictions: Iterable[PredictionRecord]) -> Mapping[str, str]:
    """Each entity's last prediction."""
    return {record.entity: record.id for record in predictions if record.entity is not None and record.error is None}


def _truths(known: pl.DataFrame, value: str, manifest: Manifest) -> list[str | float]:
    """Every truth under the name of its class, however it is spelled."""
    if not known.height:
        return []
    y = encode(known, value, manifest.classes, manifest.task).tolist()
    return [manifest.classes[code] for code in y] if manifest.classes else y


def _moment(value: object, now: datetime) -> datetime:
    if value is None:
        return now
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise SourceError(
            f"{value!r} is not a time", where=f"labels, column {_KNOWN_AT!r}", fix="write it as 2024-01-31T12:00:00"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
