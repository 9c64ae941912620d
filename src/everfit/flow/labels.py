"""Truths that arrive late, joined to the predictions they are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from everfit.data import target as targets
from everfit.data.reading import flat, text
from everfit.errors import SourceError
from everfit.ports import LabelStore, PredictionLog
from everfit.records.model import Manifest
from everfit.records.prediction import MIRRORED, Label

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
    predictions: PredictionLog,
    labels: LabelStore,
    manifest: Manifest,
    now: datetime | None = None,
) -> Labelled:
    """Stores a table of labels about predictions of the model's target. Its rows name a prediction by `prediction_id`,
    or an entity, and then stand for that entity's newest prediction; the truth is in the target's column, or in
    `value`; `known_at` is optional.

    Where the entity's own column is called `id`, an `id` is either.

    Raises SourceError, and stores nothing, when the table has neither form, a truth is none of the target's classes or
    no number, or a time cannot be read. Rows without a truth are passed over."""
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
    truths = _truths(table[value], manifest)
    keys = text(flat(table[identity or entity or ""])).to_list()
    found = _meant(frozenset(keys), predictions, by_id=identity is not None, by_entity=identity in (None, entity))
    times = table[_KNOWN_AT].to_list() if _KNOWN_AT in table.columns else [None] * table.height
    rows = zip(keys, truths, times, strict=True)
    now = now or datetime.now(UTC)
    matched = [Label(found[k], v, _moment(t, now)) for k, v, t in rows if k in found and v is not None]
    return Labelled(table.height, len(matched), labels.put(matched))


def _meant(keys: frozenset[str | None], log: PredictionLog, by_id: bool, by_entity: bool) -> Mapping[str, str]:
    """What the rows say, to the prediction that it means: its own id, or whom it is about, and then the newest one."""
    said = pl.Series(list(keys), dtype=pl.String).drop_nulls()
    # Several processes write the log, each in its own order.
    logged = log.frame(["id", "entity", "time", "error"]).sort("time")
    # What a shadow scored was never answered: the label belongs to the prediction that was.
    answered = logged.filter(pl.col("error").is_null(), ~pl.col("id").str.ends_with(MIRRORED))
    about = answered.filter(pl.col("entity").is_in(said)) if by_entity else answered.clear()
    named = answered.filter(pl.col("id").is_in(said)) if by_id else answered.clear()
    return dict(about.select("entity", "id").iter_rows()) | {identity: identity for identity in named["id"]}


def _truths(values: pl.Series, manifest: Manifest) -> list[str | float | None]:
    """Each truth under its class's own name, however it is spelled, or as a number; None where there is none. One
    label stored that nobody can read would end every look at the performance from then on."""
    missing = text(flat(values)).is_null()
    if missing.all():
        return [None] * len(values)
    # The truth before or after a missing one stands in, so that row numbers in errors stay right.
    filled = values.set(missing, None).fill_null(strategy="forward").fill_null(strategy="backward")
    y = targets.encode(filled.to_frame(), values.name, manifest.classes, manifest.task).tolist()
    named = [manifest.classes[code] for code in y] if manifest.classes else y
    return [None if gone else truth for truth, gone in zip(named, missing, strict=True)]


def _moment(value: object, now: datetime) -> datetime:
    if value is None:
        return now
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        fix = "write times as in 2026-11-01T12:00:00Z"
        raise SourceError(f"{str(value)!r} is no time", where=f"labels, column {_KNOWN_AT!r}", fix=fix) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
