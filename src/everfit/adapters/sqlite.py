"""SQLite files as the adapters here use them: one connection a thread, write-ahead log, errors that say what to do.

Kill -9 loses nothing committed and leaves nothing half-written. `synchronous=NORMAL` is enough for that; FULL also
survives a power loss at the price of one fsync a commit. Limit: a local disk, for the log needs shared memory.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from everfit.errors import StorageError

_PATIENCE = 60.0  # seconds to wait for another writer
_FIXES = {
    sqlite3.SQLITE_FULL: "free disk space, then run again; nothing half-written was kept",
    sqlite3.SQLITE_IOERR: "check the disk (full, unplugged or failing), then run again",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "make the folder writable for this user, or choose another",
    sqlite3.SQLITE_PERM: "make the file and its folder writable for this user",
    sqlite3.SQLITE_BUSY: "another process holds the file; wait for it to end, or end it",
    sqlite3.SQLITE_NOTADB: "restore the file from a backup, or move it away to begin anew",
    sqlite3.SQLITE_CORRUPT: "restore the file from a backup, or move it away to begin anew",
}


class _Connection(sqlite3.Connection):
    """Closes itself with its thread."""

    def __del__(self) -> None:
        self.close()


class Database:
    """A SQLite file with its tables, made when first opened; safe between threads and processes, also at creation.

    Every method raises StorageError when the disk is full, the file is not writable, damaged, or held by another
    process for a minute."""

    def __init__(self, path: Path, tables: str, synchronous: Literal["NORMAL", "FULL"] = "NORMAL") -> None:
        self._path = path
        self._tables = tables
        self._synchronous = synchronous
        self._threads = threading.local()
        self._create()

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of one query, read from one snapshot."""
        with told(self._path):
            return self._connection().execute(query, values).fetchall()

    def row(self, query: str, values: Sequence[Any] = ()) -> Any:
        """The first row, or None."""
        try:
            return self._connection().execute(query, values).fetchone()
        except sqlite3.Error:
            with told(self._path):  # not around it all: entering it costs as much as the query
                raise

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its beginning; committed at the end, undone if it raises."""
        with told(self._path):
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _connection(self) -> sqlite3.Connection:
        # A connection must not cross a fork, so the process counts as well as the thread.
        if getattr(self._threads, "process", None) != os.getpid():
            self._threads.connection = self._open()
            self._threads.process = os.getpid()
        connection: sqlite3.Connection = self._threads.connection
        return connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        return connection

    def _create(self) -> None:
        with told(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._connection().execute("PRAGMA journal_mode").fetchone() != ("wal",):
                self._switch()
            self._connection().executescript(self._tables)

    def _switch(self) -> None:
        from filelock import FileLock

        # SQLite does not wait for the lock that switching to the write-ahead log takes, so creation is serialised.
        with FileLock(f"{self._path}.lock", timeout=_PATIENCE):
            self._connection().execute("PRAGMA journal_mode=WAL")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turns what SQLite and the file system raise into a StorageError that names the file and the way out."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        fix = _FIXES.get(code, "restore the file from a backup, or move it away to begin anew")
        raise StorageError(str(error), where=str(path), fix=fix) from error
    except OSError as error:  # among them the lock that was not to be had in time
        fix = "make the folder writable for this user, or choose another"
        raise StorageError(str(error), where=str(path), fix=fix) from error
