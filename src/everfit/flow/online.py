"""The online store kept at the table that the newest version was trained on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from everfit.flow.run import Run
from everfit.ports import OnlineStore, StateStore
from everfit.records.table import Kind, Schema

if TYPE_CHECKING:
    import polars as pl

MATERIALIZED = "materialized"


def materialize(online: OnlineStore, state: StateStore, run: Run, entity: str | None) -> int:
    """Stores each entity's last row as the source has it, without the target, for requests that give the entity alone;
    returns how many, 0 when this very table is there already or rows have no entity. All columns are kept, for another
    version than the newest may answer, and it may read others."""
    digest = next(step.output for step in run.record.steps if step.name == "table")
    target = run["problem"].target
    content = json.dumps([digest, entity, target, "numbers"]).encode()
    last = state.last(MATERIALIZED)
    if entity is None or (last is not None and last[1] == content):
        return 0
    from everfit.data.reading import flat, text

    table: pl.DataFrame = run["table"]
    keys = text(flat(table[entity]))  # as a request's entity is read: a whole float is a whole number
    stored = online.put(entity, _numbers(table, run["columns"]).with_columns(keys).drop(target))
    state.append(MATERIALIZED, content)
    return stored


def _numbers(table: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Texts of numbers as the numbers, which are then read once and not with every request."""
    import polars as pl

    from everfit.data.reading import flat, read

    texts = [
        column.name
        for column in schema.columns
        if column.kind is Kind.NUMERIC and flat(table[column.name]).dtype == pl.String
    ]
    readings = [read(table[name], Kind.NUMERIC) for name in texts]
    return table.with_columns([reading.values for reading in readings if not reading.failures])
