from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from everfit.adapters.features.sqlite import SqliteOnline
from everfit.errors import StorageError
from everfit.testing.contracts import OnlineStoreContract


class TestSqliteOnline(OnlineStoreContract):
    def make(self, folder: Path) -> SqliteOnline:
        return SqliteOnline(folder / "online.db")


def test_missing_entity_column_is_told_with_the_columns_there_are(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as told:
        SqliteOnline(tmp_path / "online.db").put("id", pl.DataFrame({"customer": ["a"], "age": [1]}))
    assert "customer, age" in told.value.fix


def test_nested_columns_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="tags"):
        SqliteOnline(tmp_path / "online.db").put("id", pl.DataFrame({"id": ["a"], "tags": [["x"]]}))


def test_other_plain_types_become_numbers_and_text(tmp_path: Path) -> None:
    store = SqliteOnline(tmp_path / "online.db")
    levels = pl.Series("level", ["low"], dtype=pl.Categorical)
    table = pl.DataFrame({"id": ["a"], "price": [Decimal("1.50")], "age": [timedelta(days=1)], "odd": [float("nan")]})
    store.put("id", table.with_columns(levels))
    assert store.get("a") == {"id": "a", "price": 1.5, "age": "P1D", "odd": None, "level": "low"}
