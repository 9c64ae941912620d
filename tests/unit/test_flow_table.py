"""A table read in pieces is the table."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from everfit.adapters.sources.csv import CsvSource
from everfit.adapters.sources.parquet import ParquetSource
from everfit.data import dictionary
from everfit.flow.steps.table import columns, dataset, table, valid
from everfit.ports import Batches, Source
from everfit.project.sections.data import Target
from everfit.records.table import QualityReport

RAW = pl.DataFrame(
    {
        "id": [f"c{row}" for row in range(20)],
        "plan": [None if row == 3 else "abc"[row % 3] for row in range(20)],
        "charges": [None if row == 7 else row * 1.5 for row in range(20)],
        "left": [row % 4 == 0 for row in range(20)],
    }
)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_pieces_give_the_identity_and_the_values_of_the_whole(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"customers.{kind}"
    RAW.write_csv(path) if kind == "csv" else RAW.write_parquet(path)
    source: Source = CsvSource(str(path)) if kind == "csv" else ParquetSource(str(path))
    whole = made(source)
    monkeypatch.setattr(dictionary, "PIECE", 6)
    assert isinstance(source, Batches)
    assert [piece.height for piece in source.batches(6)] == [6, 6, 6, 2]
    pieces = made(source)
    assert pieces.equals(whole)
    assert pieces.schema == whole.schema
    assert dataset(pieces, "s") == dataset(whole, "s")


def made(source: Source) -> pl.DataFrame:
    """Read, masked and conformed, as the steps do it."""
    read = table(source, {"id": "hash"}, "key")
    found = columns(read, {}, Target(column="left"), None, None, None)
    return valid(read, found, QualityReport(read.height, (), 1.0), None, None)
