from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import polars as pl
import pytest

from everfit.adapters.sources.csv import CsvSource
from everfit.adapters.sources.http import HttpSource
from everfit.adapters.sources.parquet import ParquetSource
from everfit.adapters.sources.sql import SqlSource
from everfit.testing.contracts import SourceContract


class TestCsvSource(SourceContract):
    def make(self, folder: Path, table: pl.DataFrame) -> CsvSource:
        table.write_csv(folder / "table.csv")
        return CsvSource(str(folder / "table.csv"))

    def missing(self, folder: Path) -> CsvSource:
        return CsvSource(str(folder / "none.csv"))


class TestParquetSource(SourceContract):
    def make(self, folder: Path, table: pl.DataFrame) -> ParquetSource:
        table.write_parquet(folder / "table.parquet")
        return ParquetSource(str(folder / "table.parquet"))

    def missing(self, folder: Path) -> ParquetSource:
        return ParquetSource(str(folder / "none.parquet"))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the library's
        """Says nothing."""


class TestHttpSource(SourceContract):
    """From a real server on the loopback."""

    @pytest.fixture(autouse=True)
    def _served(self, tmp_path: Path) -> Iterator[None]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
        Thread(target=server.serve_forever, daemon=True).start()
        self.at = f"http://127.0.0.1:{server.server_port}"
        yield
        server.shutdown()
        server.server_close()

    def make(self, folder: Path, table: pl.DataFrame) -> HttpSource:
        table.write_csv(folder / "table.csv")
        return HttpSource(f"{self.at}/table.csv?token=secret")

    def missing(self, folder: Path) -> HttpSource:
        return HttpSource(f"{self.at}/none.csv")


class TestSqlSource(SourceContract):
    """From a real SQLite file; PostgreSQL has tests of its own."""

    def make(self, folder: Path, table: pl.DataFrame) -> SqlSource:
        path = folder / "shop.db"
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as connection:
            columns = ", ".join(f'"{name}"' for name in table.columns)
            connection.execute(f"CREATE TABLE shop ({columns})")
            connection.executemany(f"INSERT INTO shop VALUES ({', '.join('?' * table.width)})", table.rows())
        connection.close()
        return SqlSource(f"sqlite:///{path}", "SELECT * FROM shop")

    def missing(self, folder: Path) -> SqlSource:
        return SqlSource(f"sqlite:///{folder / 'none.db'}", "SELECT 1")
