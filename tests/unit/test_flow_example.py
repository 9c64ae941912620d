"""The row that a bundle shows as an example."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from everfit.data import recent, schema
from everfit.features import functions
from everfit.flow.steps import publish
from everfit.project.sections.data import Data


def test_it_is_one_row_of_the_file_also_where_older_rows_are_left_out() -> None:
    table = pl.DataFrame(
        {"day": ["2025-01-01", "2026-02-01", "2026-03-01"], "plan": ["old", "new", "newer"], "age": ["1", "2", "3"]}
    )
    data = Data(source="x.csv", target={"column": "left"}, time="day", since=datetime(2026, 1, 1, tzinfo=UTC))
    columns = schema.infer(table)
    valid = recent.since(schema.conform(table, columns), data.time, data.since)
    example = publish.example(table, valid, columns, functions.load("", "features.py"), ("plan", "age"), data)
    assert example == {"plan": "new", "age": 2.0}
