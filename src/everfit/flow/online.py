"""The online store kept at the table that the newest version was trained on."""

from __future__ import annotations

import polars as pl

from everfit.flow.run import Run
from everfit.ports import OnlineStore, StateStore

MATERIALIZED = "materialized"


def materialize(online: OnlineStore, state: StateStore, run: Run, entity: str | None) -> int:
    """Stores each entity's last row as the source has it, for requests that give the entity alone; returns how many,
    0 when this very table is there already or rows have no entity."""
    content = next(step.output for step in run.record.steps if step.name == "table").encode()
    last = state.last(MATERIALIZED)
    if entity is None or (last is not None and last[1] == content):
        return 0
    table: pl.DataFrame = run["table"]
    stored = online.put(entity, table.select(name for name in table.columns if name in run["manifest"].example))
    state.append(MATERIALIZED, content)
    return stored
