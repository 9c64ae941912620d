"""Schemas: what columns are taken for, and how tables are made to fit."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everfit.data.schema import arrays, conform, infer
from everfit.errors import SourceError
from everfit.records.table import Column, Kind, Schema

UNTIMED = settings(deadline=None)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=64)


def kind_of(values: list[object], name: str = "x") -> Kind:
    return infer(pl.DataFrame({name: values}))[name].kind


@pytest.mark.parametrize(
    "values",
    [["true", "FALSE"], ["Yes", "no", "YES"], ["y", "N"], ["T", "f"], ["0", "1"], [0, 1], [0.0, 1.0], [True, False]],
)
def test_two_values_of_a_pair_are_boolean(values: list[object]) -> None:
    assert kind_of(values) is Kind.BOOLEAN


@pytest.mark.parametrize("values", [["yes", "yes"], ["yes", "false"], ["yes", "no", "perhaps"]])
def test_other_words_are_categories(values: list[object]) -> None:
    assert kind_of(values) is Kind.CATEGORICAL


def test_numeric_text_with_blanks_is_numeric_and_blanks_are_counted() -> None:
    column = infer(pl.DataFrame({"TotalCharges": ["29.85", " ", "1889.5", "", None]}))["TotalCharges"]
    assert (column.kind, column.blanks, column.null_share) == (Kind.NUMERIC, 2, 0.6)
    assert (column.minimum, column.maximum, column.distinct) == (29.85, 1889.5, 2)


def test_a_few_unreadable_values_do_not_hide_a_numeric_column() -> None:
    assert kind_of([*(str(i) for i in range(100)), "oops"]) is Kind.NUMERIC


@pytest.mark.parametrize("name", ["customer_id", "customerID", "id", "userid", "uuid"])
def test_unique_integers_named_as_identifier_are_one(name: str) -> None:
    assert kind_of(list(range(100)), name) is Kind.IDENTIFIER
    assert kind_of([str(i) for i in range(100)], name) is Kind.IDENTIFIER


@pytest.mark.parametrize("name", ["paid", "tenure", "width", "humidity"])
def test_unique_integers_named_otherwise_are_numbers(name: str) -> None:
    assert kind_of(list(range(100)), name) is Kind.NUMERIC


@UNTIMED
@given(st.lists(FLOATS, min_size=1, max_size=30, unique=True), st.sampled_from(["id", "x"]))
def test_float_columns_are_never_identifiers(values: list[float], name: str) -> None:
    assert kind_of(list(values), name) in (Kind.NUMERIC, Kind.BOOLEAN)


def test_codes_with_leading_zeros_stay_text() -> None:
    table = pl.DataFrame({"zip": ["01234", "10115"] * 5})
    assert conform(table, infer(table))["zip"][0] == "01234"


def test_few_values_named_as_identifier_are_categories() -> None:
    assert kind_of([1, 2, 3] * 20, "region_id") is Kind.CATEGORICAL


def test_unique_words_are_an_identifier_and_prose_is_text() -> None:
    assert kind_of([f"AB-{i:05}" for i in range(60)]) is Kind.IDENTIFIER
    assert kind_of([f"the customer called {i} times about the bill" for i in range(60)]) is Kind.TEXT


@pytest.mark.parametrize(
    "text",
    ["2024-01-31", "2024-01-31T00:00:00Z", "2024-01-31 00:00", "2024/01/31", "31.01.2024", "31/01/2024", "01/31/2024",
     "31 Jan 2024", "January 31, 2024", "2024-01-31T02:00:00+02:00", "2024-01-31 02:00:00.000+02"],
)  # fmt: skip
def test_dates_are_read_however_written(text: str) -> None:
    table = pl.DataFrame({"day": [text, text]})
    assert infer(table)["day"].kind is Kind.DATE
    assert conform(table, infer(table))["day"].dt.to_string("%Y-%m-%d %H").to_list() == ["2024-01-31 00"] * 2


def test_dates_that_read_both_ways_are_refused() -> None:
    with pytest.raises(SourceError, match="day or the month") as caught:
        infer(pl.DataFrame({"day": ["01/02/2024", "03/04/2024"]}))
    assert "data.columns" in caught.value.fix


def test_a_settled_date_may_be_eight_digits() -> None:
    table = pl.DataFrame({"day": [20240131, 20240201]})
    schema = infer(table, {"day": Kind.DATE})
    assert conform(table, schema)["day"].dt.day().to_list() == [31, 1]


def test_later_tables_are_read_by_the_pattern_found_first() -> None:
    schema = infer(pl.DataFrame({"day": ["31/01/2024", "01/02/2024"]}))
    assert conform(pl.DataFrame({"day": ["03/04/2024"]}), schema)["day"].dt.month().to_list() == [4]


def test_typed_dates_become_microseconds_in_utc() -> None:
    table = pl.DataFrame({"a": [date(2024, 1, 1)], "b": [datetime(2024, 1, 1, 12, tzinfo=UTC)]})
    assert set(conform(table, infer(table)).dtypes) == {pl.Datetime("us")}


def test_kinds_given_are_not_guessed() -> None:
    assert infer(pl.DataFrame({"stars": [1, 2, 3]}), {"stars": Kind.CATEGORICAL})["stars"].levels == ("1", "2", "3")


def test_levels_are_the_most_frequent_first_in_the_tables_own_words() -> None:
    column = infer(pl.DataFrame({"churn": ["Yes", "No", "No"]}))["churn"]
    assert (column.levels, column.counts) == (("No", "Yes"), (2, 1))


def test_columns_without_values_are_inferred() -> None:
    schema = infer(pl.DataFrame({"a": ["", " "], "b": pl.Series([None, None], dtype=pl.Float64), "c": [None, None]}))
    assert [column.kind for column in schema.columns] == [Kind.CATEGORICAL, Kind.NUMERIC, Kind.CATEGORICAL]
    assert {column.null_share for column in schema.columns} == {1.0}


def test_nested_columns_are_refused_by_name() -> None:
    with pytest.raises(SourceError, match="column 'tags'"):
        infer(pl.DataFrame({"tags": [["a"], ["b"]]}))


def test_unreadable_values_are_named_with_column_row_and_value() -> None:
    schema = Schema((Column("age", Kind.NUMERIC),))
    with pytest.raises(SourceError) as caught:
        conform(pl.DataFrame({"age": ["31", "", "old", "older"]}), schema)
    assert str(caught.value).startswith("column 'age', row 3: 'old' is not a number (1 more like it)")


def test_absent_columns_are_named() -> None:
    with pytest.raises(SourceError, match="no column 'age'"):
        conform(pl.DataFrame({"agee": [1]}), Schema((Column("age", Kind.NUMERIC),)))


@pytest.mark.parametrize("marker", ["NA", "n/a", "NaN", "null", " ", "?"])
def test_markers_of_missing_numbers_are_missing(marker: str) -> None:
    assert conform(pl.DataFrame({"a": ["1", marker]}), Schema((Column("a", Kind.NUMERIC),)))["a"].null_count() == 1


def test_a_category_may_be_called_none() -> None:
    table = pl.DataFrame({"offer": ["None", "A", " "]})
    assert conform(table, infer(table))["offer"].to_list() == ["None", "A", None]


@UNTIMED
@given(st.lists(st.none() | FLOATS, min_size=1, max_size=20))
def test_numbers_survive_the_way_through_text(values: list[float | None]) -> None:
    schema = Schema((Column("a", Kind.NUMERIC),))
    texts = pl.DataFrame({"a": [None if value is None else repr(value) for value in values]}, schema={"a": pl.String})
    assert conform(texts, schema)["a"].to_list() == values


@UNTIMED
@given(st.lists(st.none() | st.text(max_size=8) | st.sampled_from(["yes", "1", "2024-01-31"]), max_size=30))
def test_conforming_again_changes_nothing(values: list[str | None]) -> None:
    table = pl.DataFrame({"a": values}, schema={"a": pl.String})
    schema = infer(table)
    once = conform(table, schema)
    assert conform(once, schema).equals(once)


@UNTIMED
@given(st.lists(st.none() | st.integers(-(2**53) + 1, 2**53 - 1), min_size=1, max_size=20))
def test_whole_floats_and_integers_and_text_are_the_same_category(values: list[int | None]) -> None:
    schema = Schema((Column("a", Kind.CATEGORICAL),))
    integers = pl.DataFrame({"a": values}, schema={"a": pl.Int64})
    frames = (integers, integers.cast(pl.Float64), integers.cast(pl.String))
    first, *others = (conform(frame, schema) for frame in frames)
    assert all(first.equals(other) for other in others)


def test_arrays_have_the_agreed_types() -> None:
    schema = Schema(tuple(Column(kind.value, kind) for kind in Kind))
    row = {"numeric": "1", "boolean": "yes", "date": "2024-01-31", "categorical": "a", "text": "b", "identifier": "c"}
    table = pl.DataFrame([row, dict.fromkeys(row)], schema=dict.fromkeys(row, pl.String))
    found = arrays(conform(table, schema), schema, schema.names)
    assert {name: array.dtype for name, array in found.items()} == {
        "numeric": np.float64, "boolean": np.float64, "date": np.dtype("datetime64[us]"),
        "categorical": object, "text": object, "identifier": object,
    }  # fmt: skip
    assert math.isnan(found["numeric"][1])
    assert math.isnan(found["boolean"][1])
    assert np.isnat(found["date"][1])
    assert found["categorical"].tolist() == ["a", None]
    assert found["text"].tolist() == ["b", None]


def test_arrays_cannot_change_the_table() -> None:
    schema = Schema((Column("a", Kind.NUMERIC), Column("b", Kind.CATEGORICAL)))
    found = arrays(conform(pl.DataFrame({"a": [1.0], "b": ["x"]}), schema), schema, ["a", "b"])
    for array in found.values():
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]
