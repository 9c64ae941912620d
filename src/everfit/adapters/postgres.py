"""PostgreSQL databases as the adapters here use them: pooled connections, tables made when first needed, and errors
that say what to do and never the password. Needs the extra `postgres`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from everfit.errors import MissingExtra, StorageError

T = TypeVar("T")

# The first half of every advisory lock taken here, so that those of other programs stay apart.
LOCK = 0x65766572
_SETTINGS = {
    "application_name": "everfit",
    "connect_timeout": 5,
    "options": "-c statement_timeout=60000",
    "keepalives_idle": 30,
    "tcp_user_timeout": 20_000,  # milliseconds until a server that fell silent counts as gone
}
_FIX = "see that PostgreSQL runs, can be reached and takes writes, then run again: what was appended before is kept"


class Connection(Protocol):
    """One transaction under way."""

    def __call__(self, statement: str, /, **values: Any) -> Any:
        """The result of a statement with `:name` for its values."""
        ...


class Database:
    """A database with tables of a version; safe between threads, processes and forks. Opening connects to nothing.

    `run` raises StorageError while the database is away or refuses, and works when it is back. Raises MissingExtra
    where the extra is not installed."""

    def __init__(self, address: str, tables: str, version: int) -> None:
        self._alchemy = _alchemy()
        self._url = url = self._alchemy.make_url(address.strip()).set(drivername="postgresql+psycopg2")
        self.where = f"postgresql://{url.host or 'local socket'}:{url.port or 5432}/{url.database or ''}"
        self._tables, self._version = tables, version
        self._lock = threading.Lock()
        self._engine: Any = None
        self._process = 0

    def run(self, work: Callable[[Connection], T], again: Callable[[Connection], T] | None = None) -> T:
        """One transaction; if its connection breaks, another with `again`, or with the same work."""
        with self._told():
            try:
                return self._transaction(work)
            except self._alchemy.exc.DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            return self._transaction(again or work)

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        with self.engine().begin() as connection:
            return work(self._statements(connection))

    def _statements(self, connection: Any) -> Connection:
        def execute(statement: str, /, **values: Any) -> Any:
            return connection.execute(self._alchemy.text(statement), values)

        return execute

    def engine(self) -> Any:
        """This process' pool: a connection must not cross a fork."""
        with self._lock:
            if self._process != os.getpid():
                made = self._alchemy.create_engine(
                    self._url, connect_args=_SETTINGS, pool_pre_ping=True, pool_size=2, hide_parameters=True
                )
                with made.begin() as connection:
                    self._prepare(self._statements(connection))
                self._engine, self._process = made, os.getpid()
            return self._engine

    def _prepare(self, execute: Connection) -> None:
        """The tables, made once however many come at the same time."""
        execute("SELECT pg_advisory_xact_lock(:lock, 0)", lock=LOCK)
        if execute("SELECT to_regclass('everfit_schema')").scalar() is None:
            execute(self._tables)
            execute("CREATE TABLE everfit_schema (version integer NOT NULL)")
            execute("INSERT INTO everfit_schema VALUES (:version)", version=self._version)
        version = execute("SELECT max(version) FROM everfit_schema").scalar()
        if version != self._version:
            raise StorageError(
                f"the tables are of version {version}, and this everfit knows version {self._version}",
                where=self.where,
                fix="install the everfit that wrote them, or a newer one",
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._alchemy.exc.SQLAlchemyError as error:
            raise StorageError(f"PostgreSQL: {self._said(error)}", where=self.where, fix=_FIX) from error

    def _said(self, error: Any) -> str:
        said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        for secret in filter(None, (self._url.password, self._url.query.get("password"))):
            said = said.replace(str(secret), "****")
        return said


def _alchemy() -> Any:
    try:
        import psycopg2  # noqa: F401  here, so that its absence is told before anything is done
        import sqlalchemy
    except ImportError as error:
        fix = 'pip install "everfit[postgres]"'
        raise MissingExtra(f"the package {error.name} is not installed", where="backends.state", fix=fix) from error
    return sqlalchemy
