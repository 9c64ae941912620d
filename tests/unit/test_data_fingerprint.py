"""Fingerprints: equal for equal content, and for nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everfit.adapters.sources.csv import CsvSource
from everfit.adapters.sources.parquet import ParquetSource
from everfit.data.fingerprint import fingerprint
from everfit.data.schema import conform, infer

UNTIMED = settings(deadline=None)
Rows = list[tuple[float | None, str | None, bool | None]]
ROWS = st.lists(
    st.tuples(st.none() | st.floats(allow_nan=False), st.none() | st.text(max_size=6), st.none() | st.booleans()),
    min_size=2,
    max_size=20,
)
KNOWN = pl.DataFrame({"a": [1.0, -0.0, None], "b": ["x", None, "äö"], "c": [True, False, None]})


def table(rows: Rows) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"n": pl.Float64, "s": pl.String, "b": pl.Boolean}, orient="row")


@UNTIMED
@given(ROWS, st.integers(1, 19))
def test_chunks_do_not_matter(rows: Rows, cut: int) -> None:
    whole = table(rows)
    parts = pl.concat([whole.head(cut), whole.slice(cut)], rechunk=False)
    assert fingerprint(parts) == fingerprint(whole)


@UNTIMED
@given(ROWS, st.integers(0, 19), st.integers(0, 2), st.data())
def test_one_changed_cell_changes_it(rows: Rows, row: int, column: int, data: st.DataObject) -> None:
    row %= len(rows)
    cell = data.draw([st.floats(allow_nan=False), st.text(max_size=6), st.booleans()][column])
    changed: list[list[object]] = [list(one) for one in rows]
    changed[row][column] = cell
    other = pl.DataFrame(changed, schema=table(rows).schema, orient="row")
    assert (fingerprint(other) == fingerprint(table(rows))) == other.equals(table(rows))


@pytest.mark.parametrize(
    "other",
    [
        KNOWN.rename({"a": "A"}),
        KNOWN.select("b", "a", "c"),
        KNOWN.reverse(),
        KNOWN.head(2),
        KNOWN.with_columns(pl.col("a").cast(pl.Float32)),
        KNOWN.with_columns(pl.col("b").fill_null("")),
        KNOWN.with_columns(pl.col("a").fill_null(0)),
        KNOWN.with_columns(pl.col("c").fill_null(value=False)),
        KNOWN.with_columns(pl.Series("b", ["xä", None, "ö"])),
    ],
)
def test_names_order_types_and_values_matter(other: pl.DataFrame) -> None:
    assert fingerprint(other) != fingerprint(KNOWN)


def test_long_tables_are_hashed_past_the_first_slice() -> None:
    long = pl.DataFrame({"a": pl.int_range(300_000, eager=True)}).with_columns(s=pl.col("a").cast(pl.String))
    changed = long.with_columns(s=pl.when(pl.col("a") == 299_999).then(pl.lit("x")).otherwise("s"))
    assert fingerprint(long) != fingerprint(changed)
    assert fingerprint(pl.concat([long.head(7), long.slice(7)], rechunk=False)) == fingerprint(long)


def test_the_file_format_does_not_matter(tmp_path: Path) -> None:
    typed = pl.DataFrame({"id": [f"c{i}" for i in range(30)], "x": [i / 7 for i in range(30)], "n": [0, 1, 2] * 10})
    typed.write_csv(tmp_path / "t.csv")
    typed.write_parquet(tmp_path / "t.parquet")
    text, binary = CsvSource(str(tmp_path / "t.csv")).read(), ParquetSource(str(tmp_path / "t.parquet")).read()
    assert infer(text) == infer(binary)
    assert fingerprint(conform(text, infer(text))) == fingerprint(conform(binary, infer(binary)))


def test_the_digest_is_the_same_in_another_process_and_release() -> None:
    code = (
        "import polars as pl; from everfit.data.fingerprint import fingerprint;"
        "print(fingerprint(pl.DataFrame({'a': [1.0, -0.0, None], 'b': ['x', None, 'äö'], 'c': [True, False, None]})))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert (
        other.stdout.strip() == fingerprint(KNOWN) == "6e05c8b95e5f66df36febd7f97b6fe4d99dc998e4cdc483212ae2ade0d868290"
    )


def test_minus_zero_has_the_form_of_zero() -> None:
    assert fingerprint(pl.DataFrame({"a": [0.0]})) == fingerprint(pl.DataFrame({"a": [-0.0]}))
