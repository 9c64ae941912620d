"""What every OnlineStore must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from everfit.ports import OnlineStore

_CITY = 'Zoë\'s "x"\n'
_ROWS = pl.DataFrame({"id": ["a", "b"], "age": [1.5, None], "city": [_CITY, None], "paid": [True, False]})


class OnlineStoreContract:
    """The latest raw row of each entity."""

    def make(self, folder: Path) -> OnlineStore:
        """Opens the store in the folder."""
        raise NotImplementedError

    def test_rows_come_back_as_they_were(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        assert store.put("id", _ROWS) == 2
        assert store.get("a") == {"id": "a", "age": 1.5, "city": _CITY, "paid": True}
        assert store.get("b") == {"id": "b", "age": None, "city": None, "paid": False}

    def test_unknown_entity_is_none(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        assert store.get("a") is None
        store.put("id", _ROWS)
        assert [store.get(key) for key in ("", "A", "a ", "c")] == [None] * 4

    def test_the_last_row_of_equal_keys_wins(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        assert store.put("id", pl.DataFrame({"id": ["a", "b", "a"], "age": [1, 2, 3]})) == 2
        assert store.get("a") == {"id": "a", "age": 3}

    def test_a_later_put_replaces_rows_and_keeps_the_others(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        store.put("id", _ROWS)
        assert store.put("id", pl.DataFrame({"id": ["a", "c"], "age": [9.0, 8.0]})) == 2
        assert [(store.get(key) or {}).get("age", "none") for key in "abc"] == [9.0, None, 8.0]

    def test_rows_without_an_entity_are_not_stored(self, tmp_path: Path) -> None:
        assert self.make(tmp_path).put("id", pl.DataFrame({"id": ["a", None], "age": [1, 2]})) == 1

    def test_numeric_keys_are_asked_for_as_text(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        store.put("id", pl.DataFrame({"id": [7, 2**60], "age": [1, 2]}))
        assert [store.get("7"), store.get(str(2**60))] == [{"id": 7, "age": 1}, {"id": 2**60, "age": 2}]

    def test_dates_come_back_as_iso_text(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        at = datetime(2026, 3, 1, 12, 30, 1, 5, tzinfo=UTC)
        store.put("id", pl.DataFrame({"id": ["a"], "at": [at.replace(tzinfo=None)], "zoned": [at], "day": [at.date()]}))
        row = store.get("a") or {}
        assert datetime.fromisoformat(str(row["at"])) == at.replace(tzinfo=None)
        assert datetime.fromisoformat(str(row["zoned"])) == at
        assert date.fromisoformat(str(row["day"])) == at.date()

    def test_an_empty_table_stores_nothing(self, tmp_path: Path) -> None:
        assert self.make(tmp_path).put("id", _ROWS.clear()) == 0

    def test_rows_are_there_after_opening_again(self, tmp_path: Path) -> None:
        self.make(tmp_path).put("id", _ROWS)
        assert self.make(tmp_path).get("a") is not None

    def test_readers_see_old_or_new_rows_while_another_writes(self, tmp_path: Path) -> None:
        store, reader = self.make(tmp_path), self.make(tmp_path)
        tables = [pl.DataFrame({"id": [str(i) for i in range(200)], "x": [n] * 200, "y": [n] * 200}) for n in range(8)]
        store.put("id", tables[0])
        with ThreadPoolExecutor(4) as pool:
            reads = pool.map(lambda i: reader.get(str(i % 200)), range(2000))
            for table in tables:
                store.put("id", table)
            rows = list(reads)
        assert all(row is not None and row["x"] == row["y"] for row in rows)
        assert (store.get("3") or {})["x"] == 7
