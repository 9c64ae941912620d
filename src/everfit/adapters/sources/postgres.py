"""The rows of a query on PostgreSQL. Needs the extra `postgres`; the session may read alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from typing import Any

from everfit.errors import MissingExtra, SourceError

Found = tuple[Sequence[str], list[Any]]
MINUTES = 10  # that a query may take


def rows(address: str, query: str) -> Found:
    """The columns' names and the rows of a query. Raises SourceError with what the server said, MissingExtra."""
    try:
        import psycopg2
        import sqlalchemy
    except ImportError as error:
        fix = 'pip install "everfit[postgres]"'
        raise MissingExtra(f"the package {error.name} is not installed", where="labels", fix=fix) from error
    options = f"-c default_transaction_read_only=on -c statement_timeout={60_000 * MINUTES} -c timezone=UTC"
    try:
        url = sqlalchemy.make_url(address.strip()).set(drivername="postgresql")
        with closing(psycopg2.connect(url.render_as_string(False), connect_timeout=10, options=options)) as connection:
            cursor = connection.cursor()
            cursor.execute(query)  # without values, so that no sign in it means anything
            return [one.name for one in cursor.description or ()], [_plain(row) for row in cursor.fetchall()]
    except (psycopg2.Error, sqlalchemy.exc.ArgumentError) as error:
        said = "the address cannot be read" if isinstance(error, sqlalchemy.exc.ArgumentError) else str(error)
        raise refused(said.strip().partition("\n")[0] or type(error).__name__) from error


def _plain(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(float(value) if isinstance(value, Decimal) else value for value in row)


def refused(what: str) -> SourceError:
    """The error of a query that cannot be used."""
    return SourceError(what, where="the query", fix="correct the query, and see that the database can be reached")
