"""State in PostgreSQL: one truth for several machines. Extra `postgres`; `backends.state` holds the URL.

Projects and environments may share a database: each has a `space` of its own in the table `everfit_documents`. An
append is one transaction under a lock of its stream, so that numbers leave no gap and compare-and-set holds between
machines. Limits: PostgreSQL 12 or newer; a query without an answer fails after a minute.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from everfit.adapters.postgres import LOCK, Connection, Database
from everfit.errors import Conflict

SCHEMA = 1
_TABLES = """
CREATE TABLE everfit_documents (
    space text, stream text, number bigint, document bytea NOT NULL, token uuid NOT NULL,
    PRIMARY KEY (space, stream, number)
)
"""
_LOCK = "SELECT pg_advisory_xact_lock(:lock, hashtext(:space || '/' || :stream))"
_STREAM = "FROM everfit_documents WHERE space = :space AND stream = :stream"
_READ = f"SELECT number, document {_STREAM} AND number > :after ORDER BY number"
_LAST = f"SELECT number, document {_STREAM} ORDER BY number DESC LIMIT 1"
_WRITTEN = f"SELECT number {_STREAM} AND token = :token"
_INSERT = "INSERT INTO everfit_documents VALUES (:space, :stream, :number, :document, :token)"


@dataclass(frozen=True)
class PostgresConfig:
    """Where the database is, and whose streams these are: two spaces share nothing. The address holds the password, or
    leaves it to libpq (`PGPASSWORD`, `~/.pgpass`); it is never shown."""

    address: str = field(repr=False)
    space: str


class PostgresState:
    """A StateStore in PostgreSQL, safe between threads, forks, processes and machines.

    Opening connects to nothing. Every method raises StorageError while the database is away, and works when it is
    back."""

    def __init__(self, config: PostgresConfig) -> None:
        self._database = Database(config.address, _TABLES, SCHEMA)
        self._space = config.space

    def append(self, stream: str, document: bytes, expect: int | None = None) -> int:
        """Appends and returns the number; raises Conflict unless the stream holds `expect` documents, if given."""
        named: dict[str, Any] = {"space": self._space, "stream": stream}
        token = uuid4()

        def first(execute: Connection) -> int:
            execute(_LOCK, lock=LOCK, **named)
            newest = execute(_LAST, **named).first()
            count = int(newest[0]) if newest else 0
            if expect is not None and count != expect:
                raise Conflict(
                    f"`{stream}` holds {count} documents where {expect} were expected: somebody else was first",
                    where=self._database.where,
                    fix="read the state again, and decide again",
                )
            execute(_INSERT, number=count + 1, document=document, token=token, **named)
            return count + 1

        def again(execute: Connection) -> int:
            # The server may have committed and not said so: the lock waits for that, and the token tells.
            execute(_LOCK, lock=LOCK, **named)
            found = execute(_WRITTEN, token=token, **named).first()
            return int(found[0]) if found else first(execute)

        return self._database.run(first, again)

    def read(self, stream: str, after: int = 0) -> list[tuple[int, bytes]]:
        """The documents above `after`, in order."""
        rows: list[Any] = self._database.run(
            lambda execute: execute(_READ, space=self._space, stream=stream, after=after).all()
        )
        return [(number, bytes(document)) for number, document in rows]

    def last(self, stream: str) -> tuple[int, bytes] | None:
        """The newest document, by one step in the index."""
        row: Any = self._database.run(lambda execute: execute(_LAST, space=self._space, stream=stream).first())
        return None if row is None else (row[0], bytes(row[1]))
