from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from everfit.compiled.encoding import CompiledEncoder
from everfit.data.levels import coded
from everfit.data.schema import arrays, conform
from everfit.records.features import CategoricalEncoding, Encoder, NumericEncoding
from everfit.records.table import Column, Kind, Schema, ValueRule
from everfit.serving.columnar import raw
from everfit.serving.rows import RowParser

SCHEMA = Schema((Column("spent", Kind.NUMERIC), Column("member", Kind.BOOLEAN), Column("plan", Kind.CATEGORICAL)))
NAMES = SCHEMA.names
ENCODER = CompiledEncoder(
    Encoder(
        (
            NumericEncoding("spent", Kind.NUMERIC, 3.0, 2.0, 1.5, True),
            NumericEncoding("member", Kind.BOOLEAN, 1.0, 0.5, 0.5, False),
        ),
        (CategoricalEncoding("plan", ("basic", "full", "2")),),
    )
)
FORMS: dict[str, list[pl.Series]] = {
    "spent": [
        pl.Series([1.5, None, float("nan"), 7.0]),
        pl.Series([1, None, 2, 7], dtype=pl.Int32),
        pl.Series(["1.5", " ", "n/a", " 7 "]),
        pl.Series([True, None, False, True]),
    ],
    "member": [
        pl.Series(["Yes", "no", "", None]),
        pl.Series([True, False, None, True]),
        pl.Series([1, 0, None, 1]),
        pl.Series([1.0, 0.0, float("nan"), None]),
        pl.Series(["tRuE", "F", "N/A", "1"]),
    ],
    "plan": [
        pl.Series(["basic", "full", None, "full"]),
        pl.Series(["basic", " ", "seen nowhere", "\N{NO-BREAK SPACE}"]),
        pl.Series(["full", None, "2", "full"], dtype=pl.Categorical),
        pl.Series([2.0, 2.5, None, 3.0]),
    ],
}


def table(**columns: pl.Series) -> pl.DataFrame:
    found = {name: columns.get(name, forms[0]) for name, forms in FORMS.items()}
    return pl.DataFrame([series.alias(name) for name, series in found.items()])


def found(table: pl.DataFrame, *rules: ValueRule) -> Any:
    return raw(table, SCHEMA, ENCODER, RowParser(SCHEMA, NAMES, rules))


@pytest.mark.parametrize(("name", "series"), [(name, series) for name, forms in FORMS.items() for series in forms])
def test_columns_are_read_as_the_long_way_reads_them(name: str, series: pl.Series) -> None:
    given = table(**{name: series})
    expected = ENCODER.raw(arrays(conform(given, SCHEMA), SCHEMA, NAMES))
    columns = found(given)
    np.testing.assert_array_equal(columns.T, expected)
    np.testing.assert_array_equal(ENCODER.columns(columns), ENCODER.many(expected))


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("spent", pl.Series(["1", "2", "x", "4"])),
        ("member", pl.Series(["Yes", "no", "perhaps", "no"])),
        ("member", pl.Series([0, 1, 2, 0])),
    ],
)
def test_a_value_that_cannot_be_read_is_left_to_the_long_way(name: str, series: pl.Series) -> None:
    assert found(table(**{name: series})) is None


@pytest.mark.parametrize(
    "rule", [ValueRule("spent", max=5), ValueRule("spent", allowed=(1.5, 2)), ValueRule("plan", allowed=("basic",))]
)
def test_an_impossible_value_is_left_to_the_long_way(rule: ValueRule) -> None:
    assert found(table(), rule) is None


def test_a_rule_about_levels_that_no_row_has_refuses_nothing() -> None:
    assert found(table(), ValueRule("plan", allowed=("basic", "full"))) is not None


def test_levels_beyond_a_byte_keep_their_places() -> None:
    known = [f"k{i}" for i in range(200)]
    column = pl.Series([None, *(f"k{i}" for i in range(300))])
    levels, codes = coded(column, known)
    assert codes[0] == len(levels) == 300
    assert levels.gather(codes[1:].tolist()).to_list() == column[1:].to_list()
