"""Truths that arrive late, joined to the predictions they are about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from everfit.data import target as targets
from everfit.data.reading import flat, text
from everfit.errors import SourceError
from everfit.ports import LabelStore, PredictionLog
from everfit.records.model import Manifest
from everfit.records.prediction import MIRRORED, Label
from everfit.serving.identity import made_at

_IDS = ("prediction_id", "id")
_TIME, _KNOWN_AT = "time", "known_at"
_UTC = pl.Datetime("us", "UTC")
_MEANT = {"row": pl.UInt32, "id": pl.String, "several": pl.Boolean}


@dataclass(frozen=True, slots=True)
class Labelled:
    """What became of a table of labels: rows read, joined to a prediction, and new to the store. Of those joined by
    entity, `ambiguous` could have meant an earlier prediction of the same entity too; `conflicting` rows say something
    else about the same prediction than another row that was learned at the same time, and the last of them counts."""

    rows: int
    matched: int
    new: int
    ambiguous: int = 0
    conflicting: int = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """How a row finds the prediction of its entity: `time` is the project's own column of times, if it has one, and
    `within` how long before a truth the prediction may have been made that it is about."""

    time: str | None = None
    within: timedelta = timedelta(days=30)


def store(
    table: pl.DataFrame,
    predictions: PredictionLog,
    labels: LabelStore,
    manifest: Manifest,
    now: datetime | None = None,
    reach: Reach = Reach(),
) -> Labelled:
    """Stores a table of labels about predictions of the model's target. The truth is in the target's column, or in
    `value`; `known_at`, when it was learned, is optional. A row names its prediction by `prediction_id` or an entity.
    With a time (`time`, or the project's own column) it then means that entity's last prediction not after that time
    and not longer before it than `reach.within`; without one the entity's last prediction before the truth was known.

    Where the entity's own column is called `id`, an `id` is either.

    Raises SourceError, and stores nothing, when the table has neither form, a truth is none of the target's classes or
    no number, or a time cannot be read. Rows without a truth are passed over."""
    now = now or datetime.now(UTC)
    identity, value = _columns(table, manifest)
    truths = _truths(table[value], manifest)
    known = _times(table, _KNOWN_AT, now)
    there = pl.Series([truth is not None for truth in truths], dtype=pl.Boolean)
    keys = text(flat(table[identity or manifest.entity or ""])).alias("key")
    timed = next((name for name in (_TIME, reach.time) if name is not None and name in table.columns), None)
    rows = pl.DataFrame([keys, (_times(table, timed, now) if timed else known).alias("time")])
    asked = rows.with_row_index("row").filter(there, pl.col("key").is_not_null())
    meant = pl.DataFrame(schema=_MEANT)
    if identity is not None:
        meant = _by_id(asked, predictions)
    if identity is None or identity == manifest.entity:
        rest = asked.filter(~pl.col("row").is_in(meant["row"].implode()))
        meant = pl.concat([meant, _by_entity(rest, predictions, reach.within, bounded=timed is not None)])
    meant = meant.sort("row")
    found = [Label(name, truths[row], known[row], stored_at=now) for row, name in meant.select("row", "id").iter_rows()]
    return Labelled(table.height, len(found), labels.put(found), int(meant["several"].sum()), _conflicting(found))


def _columns(table: pl.DataFrame, manifest: Manifest) -> tuple[str | None, str]:
    """The column of prediction ids, None where rows name an entity, and that of truths."""
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
    return identity, value


def _answered(log: PredictionLog, since: datetime | None, until: datetime | None) -> pl.DataFrame:
    """What was answered, in the order of time: several processes write the log, each in its own order. What a shadow
    scored was never answered: the label belongs to the prediction that was."""
    logged = log.frame(["id", "entity", "time", "error"], since, until)
    return logged.filter(pl.col("error").is_null(), ~pl.col("id").str.ends_with(MIRRORED)).sort("time")


def _by_id(asked: pl.DataFrame, log: PredictionLog) -> pl.DataFrame:
    """The rows whose key is a prediction's id. Ids made here say when, so that little of the log need be read."""
    moments = [made_at(key) for key in asked["key"].unique()]
    told = [moment for moment in moments if moment is not None]
    whole = len(told) < len(moments) or not told
    since, until = (None, None) if whole else (min(told) - timedelta(seconds=1), max(told) + timedelta(seconds=1))
    there = _answered(log, since, until)["id"]
    found = asked.filter(pl.col("key").is_in(there.implode()))
    return found.select("row", pl.col("key").alias("id"), pl.lit(False).alias("several"))


def _by_entity(asked: pl.DataFrame, log: PredictionLog, within: timedelta, *, bounded: bool) -> pl.DataFrame:
    """The rows whose key is an entity that was asked about in time, with its last prediction then; `several` says that
    there was another one within reach."""
    if not asked.height:
        return pl.DataFrame(schema=_MEANT)
    first, last = asked["time"].min(), asked["time"].max()
    since = first - within if bounded and isinstance(first, datetime) else None
    until = last + timedelta(microseconds=1) if isinstance(last, datetime) else None
    answered = _answered(log, since, until).filter(pl.col("entity").is_in(asked["key"].unique().implode()))
    numbered = answered.select(
        pl.col("entity").alias("key"), "time", "id", made="time", number=pl.int_range(pl.len()).over("entity")
    )
    rows = asked.sort("time")
    found = rows.join_asof(numbered, on="time", by="key", check_sortedness=False)
    found = found.filter(pl.col("id").is_not_null())
    if bounded:
        found = found.filter(pl.col("made") >= pl.col("time") - within)
    before = numbered.select("key", "number", time=pl.col("time") + within).rename({"number": "gone"})
    # Those whose reach ended before the row's time are not meant by it.
    counted = found.join_asof(before, on="time", by="key", allow_exact_matches=False, check_sortedness=False)
    several = (pl.col("number") - pl.col("gone").fill_null(-1)) > 1
    return counted.select("row", "id", several.alias("several"))


def _conflicting(found: list[Label]) -> int:
    """Rows that contradict another one about the same prediction, learned at the same time."""
    said: dict[tuple[str, datetime], set[str | float]] = {}
    for label in found:
        said.setdefault((label.prediction_id, label.known_at), set()).add(label.value)
    return sum(len(values) - 1 for values in said.values())


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


def _times(table: pl.DataFrame, column: str, now: datetime) -> pl.Series:
    """The column as times in UTC, `now` where there is none."""
    if column not in table.columns:
        return pl.Series([now], dtype=_UTC).new_from_index(0, table.height)
    return pl.Series([_moment(value, now, column) for value in table[column].to_list()], dtype=_UTC)


def _moment(value: object, now: datetime, column: str) -> datetime:
    if value is None:
        return now
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        fix = "write times as in 2026-11-01T12:00:00Z"
        raise SourceError(f"{str(value)!r} is no time", where=f"labels, column {column!r}", fix=fix) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
