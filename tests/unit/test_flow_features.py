"""Features as a table that the next steps read."""

from __future__ import annotations

import numpy as np
import polars as pl

from everfit.flow.steps.features import frame


def test_a_text_that_is_missing_in_the_first_row_is_a_missing_text() -> None:
    found = frame({"plan": np.array([None, "a", "b"], dtype=object), "age": np.array([np.nan, 1.0, 2.0])})
    assert found["plan"].to_list() == [None, "a", "b"]
    assert found.dtypes == [pl.String, pl.Float64]
    assert np.isnan(found["age"][0])


def test_a_text_that_is_missing_everywhere_is_text_still() -> None:
    assert frame({"plan": np.array([None, None], dtype=object)})["plan"].dtype == pl.String
