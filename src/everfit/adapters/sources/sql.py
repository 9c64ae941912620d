"""The result of a query as a source.

Extra: none for SQLite, `postgres` for PostgreSQL. Config: `everfit labels --sql QUERY --database NAME`, where NAME is
the environment variable that holds the SQLAlchemy address. Limits: `sqlite:///` and `postgresql` addresses; the
database is opened for reading alone, a query may run ten minutes, and no message shows the address.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import polars as pl

from everfit.adapters.sources import postgres
from everfit.adapters.sources.postgres import MINUTES, Found, refused
from everfit.errors import SourceError

_SQLITE = "sqlite:///"
_STEPS = 100_000  # of SQLite's machine between two looks at the clock


@dataclass(frozen=True, slots=True)
class SqlSource:
    """The rows that a query gives. SourceError at once for a database of another kind."""

    address: str = field(repr=False)
    query: str

    def __post_init__(self) -> None:
        _runner(self.address)

    def identity(self) -> str:
        """SHA-256 of the result, for which the query runs."""
        table = self.read()
        return sha256(f"{table.columns}{table.hash_rows(seed=1).to_list()}".encode()).hexdigest()

    def read(self) -> pl.DataFrame:
        """All columns, in the types that the database gives. Raises SourceError."""
        names, rows = _runner(self.address)(self.address, self.query)
        if not names:
            raise refused("it gives no rows")
        if len(set(names)) < len(names):
            raise refused(f"the query gives the column {max(names, key=list(names).count)!r} twice")
        try:
            return pl.DataFrame(rows, schema=list(names), orient="row", infer_schema_length=None)
        except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
            raise refused(f"its columns hold values of several types: {str(error).splitlines()[0]}") from error


def _runner(address: str) -> Callable[[str, str], Found]:
    if address.startswith(_SQLITE):
        return _of_sqlite
    if address.partition("://")[0].partition("+")[0] in ("postgresql", "postgres"):
        return postgres.rows
    kind = address.partition("://")[0] if "://" in address else "something else"
    fix = "use an address such as sqlite:////srv/shop.db or postgresql://user:password@host/shop"
    raise SourceError(f"queries run on SQLite and PostgreSQL, not on {kind[:20]}", where="the database", fix=fix)


def _of_sqlite(address: str, query: str) -> Found:
    path = Path(address.removeprefix(_SQLITE))
    if not path.is_file():
        raise SourceError("there is no such database file", where=path.name, fix="correct the address")
    deadline = time.monotonic() + 60 * MINUTES
    try:
        place = f"file:{quote(str(path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(place, uri=True)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            cursor = connection.execute(query)
            return [one[0] for one in cursor.description or ()], cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise refused(str(error)) from error
