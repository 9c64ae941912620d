from __future__ import annotations

import polars as pl
import pytest

from everfit.data import dictionary
from everfit.data.dictionary import encoded, stacked


def test_text_of_few_values_takes_a_byte_a_cell() -> None:
    found = encoded(pl.Series("plan", ["b", None, "a"] * 1000))
    assert found.dtype == pl.Enum(["a", "b"])
    assert found.estimated_size() < 2 * 3000
    assert found.cast(pl.String).to_list() == ["b", None, "a"] * 1000


def test_text_of_many_values_and_numbers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "_MOST", 2)
    for column in (pl.Series(["a", "b", "c"]), pl.Series([1, 2, 1])):
        assert encoded(column).dtype == column.dtype


def test_pieces_are_one_table_however_they_are_cut() -> None:
    whole = pl.DataFrame({"plan": ["b", "a", None, "c"], "age": [1.0, None, 3.0, 4.0]})
    expected = stacked([whole])
    for size in (1, 2, 3):
        found = stacked(whole.iter_slices(size))
        assert found.equals(expected)
        assert found.schema == expected.schema


def test_values_that_are_too_many_together_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "_MOST", 2)
    pieces = [pl.DataFrame({"plan": part}) for part in (["a", "b"], ["c"], [None])]
    found = stacked(piece.cast(pl.String) for piece in pieces)["plan"]
    assert found.dtype == pl.String
    assert found.to_list() == ["a", "b", "c", None]


def test_a_piece_without_a_value_takes_the_type_of_the_others() -> None:
    missing = pl.DataFrame({"size": pl.Series([None], dtype=pl.String)})
    assert stacked([missing, pl.DataFrame({"size": [2.5]})])["size"].to_list() == [None, 2.5]
