"""State in one SQLite file: the default, needs no extra and no server.

Each append is one transaction with an fsync (`synchronous=FULL`): state is written rarely, and it is the truth about
who is champion, so it survives a power loss too. Limits: one machine, a local disk; some hundred appends a second.
"""

from __future__ import annotations

from pathlib import Path

from everfit.adapters.sqlite import Database
from everfit.errors import Conflict

_TABLES = """
CREATE TABLE IF NOT EXISTS documents (
    stream TEXT NOT NULL,
    number INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (stream, number)
)
"""


class SqliteState:
    """A StateStore in the file `path`, which is made with its folder where missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = Database(path, _TABLES, synchronous="FULL")

    def append(self, stream: str, document: bytes, expect: int | None = None) -> int:
        """Appends and returns the number; raises Conflict unless the stream holds `expect` documents, if given."""
        with self._database.write() as connection:
            query = "SELECT coalesce(max(number), 0) FROM documents WHERE stream = ?"
            (count,) = connection.execute(query, (stream,)).fetchone()
            if expect is not None and count != expect:
                raise Conflict(
                    f"`{stream}` holds {count} documents where {expect} were expected: somebody else was first",
                    where=str(self._path),
                    fix="read the state again, and decide again",
                )
            connection.execute("INSERT INTO documents VALUES (?, ?, ?)", (stream, count + 1, document))
        return int(count) + 1

    def read(self, stream: str, after: int = 0) -> list[tuple[int, bytes]]:
        """The documents above `after`, in order."""
        query = "SELECT number, document FROM documents WHERE stream = ? AND number > ? ORDER BY number"
        return self._database.rows(query, (stream, after))

    def last(self, stream: str) -> tuple[int, bytes] | None:
        """The newest document, by one step in the index."""
        query = "SELECT number, document FROM documents WHERE stream = ? ORDER BY number DESC LIMIT 1"
        found: tuple[int, bytes] | None = self._database.row(query, (stream,))
        return found
