"""What every Source must do."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from everfit.errors import SourceError
from everfit.ports import Batches, Source

_TABLE = pl.DataFrame({
    "id": ["a-1", "b-2", "c-3"],
    "city": ["Zoë", 'with "quotes", and comma', "x"],
    "count": [1, -2, 30],
    "share": [0.5, 1.25, -3.0],
})  # fmt: skip


class SourceContract:
    """The whole table as found, and an identity that changes with it."""

    def make(self, folder: Path, table: pl.DataFrame) -> Source:
        """Writes the table to where the source reads, in place of what was there, and opens it."""
        raise NotImplementedError

    def missing(self, folder: Path) -> Source:
        """A source whose table does not exist."""
        raise NotImplementedError

    def test_the_whole_table_is_read_in_its_order(self, tmp_path: Path) -> None:
        found = self.make(tmp_path, _TABLE).read()
        assert found.columns == _TABLE.columns
        assert found.cast(_TABLE.schema).equals(_TABLE)

    def test_reading_twice_gives_the_same(self, tmp_path: Path) -> None:
        source = self.make(tmp_path, _TABLE)
        assert source.read().equals(source.read())

    def test_the_identity_stays_while_the_content_stays(self, tmp_path: Path) -> None:
        source = self.make(tmp_path, _TABLE)
        before = source.identity()
        source.read()
        assert before
        assert source.identity() == before

    @pytest.mark.parametrize("change", ["value", "rows", "name"])
    def test_the_identity_changes_with_the_content(self, tmp_path: Path, change: str) -> None:
        before = self.make(tmp_path, _TABLE).identity()
        changed = {
            "value": _TABLE.with_columns(pl.col("count") + 1),
            "rows": pl.concat([_TABLE, _TABLE.head(1)]),
            "name": _TABLE.rename({"city": "town"}),
        }
        assert self.make(tmp_path, changed[change]).identity() != before

    def test_a_missing_table_is_told_with_a_way_out(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError) as told:
            self.missing(tmp_path).read()
        assert told.value.where
        assert told.value.fix

    def test_pieces_are_the_whole_table(self, tmp_path: Path) -> None:
        source = self.make(tmp_path, pl.concat([_TABLE] * 40))
        if not isinstance(source, Batches):
            return
        whole = source.read()
        pieces = list(source.batches(50))
        assert [piece.height for piece in pieces] == [50, 50, 20]
        assert pl.concat(pieces).equals(whole)
        assert pl.concat(source.batches(50, skip=70)).equals(whole[70:])
        assert source.count() == whole.height

    def test_pieces_have_the_columns_that_are_wanted(self, tmp_path: Path) -> None:
        source = self.make(tmp_path, _TABLE)
        if not isinstance(source, Batches):
            return
        wanted = _TABLE.columns[1:]
        assert [piece.columns for piece in source.batches(50, columns=[*reversed(wanted)])] == [wanted]
        assert [piece.columns for piece in source.batches(50, columns=["absent"])] == [_TABLE.columns]
