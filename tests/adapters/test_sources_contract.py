from __future__ import annotations

from pathlib import Path

import polars as pl

from everfit.adapters.sources.csv import CsvSource
from everfit.adapters.sources.parquet import ParquetSource
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
