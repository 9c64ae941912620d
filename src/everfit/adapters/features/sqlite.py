"""The latest raw row of each entity in one SQLite file: the default online store, needs no extra and no server.

A read is one step in the primary key and one JSON object, some 10 microseconds. Limits: one machine, a local disk; a
row is replaced whole; nested columns are refused; a power loss may lose the last `put`, which is then to be repeated.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from everfit.adapters.sqlite import Database
from everfit.errors import StorageError
from everfit.records.table import Row

if TYPE_CHECKING:
    import polars as pl

# Rows that are text at a time: as JSON they take several times the room of the table.
_PIECE = 100_000
_PUT = "INSERT OR REPLACE INTO entities VALUES (?, ?)"
_decode = msgspec.json.Decoder().decode
_TABLES = "CREATE TABLE IF NOT EXISTS entities (entity TEXT PRIMARY KEY, fields TEXT NOT NULL) WITHOUT ROWID"


class SqliteOnline:
    """An OnlineStore in the file `path`, which is made with its folder where missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = Database(path, _TABLES)

    def put(self, entity: str, table: pl.DataFrame) -> int:
        """Replaces the rows of these entities in one transaction and returns how many were stored.

        Of equal entities the last row wins; rows without an entity cannot be asked for and are not stored. Raises
        StorageError for a missing entity column and for nested columns."""
        self._check(entity, table)
        with self._database.write() as connection:
            for piece in table.iter_slices(_PIECE):
                connection.executemany(_PUT, _rows(entity, piece).iter_rows())
        return table[entity].drop_nulls().n_unique()

    def get(self, key: str) -> Row | None:
        """The row of one entity, dates as ISO 8601 text, or None."""
        found = self._database.row("SELECT fields FROM entities WHERE entity = ?", (key,))
        if found is None:
            return None
        row: Row = _decode(found[0])
        return row

    def _check(self, entity: str, table: pl.DataFrame) -> None:
        import polars as pl

        nested = [name for name, kind in table.schema.items() if kind.is_nested() or kind == pl.Binary]
        if entity in table.columns and not nested:
            return
        problem = f"columns {', '.join(nested)} are nested" if nested else f"there is no column `{entity}`"
        fix = "unpack them into columns of their own" if nested else f"choose from: {', '.join(table.columns)}"
        raise StorageError(problem, where=str(self._path), fix=fix)


def _rows(entity: str, table: pl.DataFrame) -> pl.DataFrame:
    """Each entity and its last row as JSON, in the order of the entities."""
    import polars as pl

    levels = pl.selectors.categorical() | pl.selectors.enum()
    plain = table.select(
        pl.selectors.temporal().dt.to_string("iso:strict"),
        pl.selectors.decimal().cast(pl.Float64),
        levels.cast(pl.String),
        ~(pl.selectors.temporal() | pl.selectors.decimal() | levels),
    ).select(table.columns)
    return (
        plain.select(pl.col(entity).cast(pl.String).alias("entity"), pl.struct(pl.all()).alias("fields"))
        .drop_nulls("entity")
        .unique("entity", keep="last")
        .sort("entity")
        .select("entity", pl.col("fields").struct.json_encode())
    )
