"""Features as a table that the next steps read."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from everfit.data import dictionary, schema
from everfit.errors import ProjectError
from everfit.features import encoder as encoding
from everfit.features.functions import load
from everfit.flow.steps.features import arrays, features, fitted, frame, kinds, matrix
from everfit.records.table import Schema


def test_a_text_that_is_missing_in_the_first_row_is_a_missing_text() -> None:
    found = frame({"plan": np.array([None, "a", "b"], dtype=object), "age": np.array([np.nan, 1.0, 2.0])})
    assert found["plan"].to_list() == [None, "a", "b"]
    assert found.dtypes == [pl.String, pl.Float64]
    assert np.isnan(found["age"][0])


def test_a_text_that_is_missing_everywhere_is_text_still() -> None:
    assert frame({"plan": np.array([None, None], dtype=object)})["plan"].dtype == pl.String


SOURCE = """
import numpy as np

def share(charges, total):
    return charges / total

def tariff(plan):
    return np.array([None if one is None else one.upper() for one in plan], dtype=object)
"""


def customers() -> tuple[pl.DataFrame, Schema]:
    random = np.random.default_rng(3)
    table = pl.DataFrame(
        {
            "charges": random.normal(70, 30, 50),
            "total": [None if value < 0.1 else value * 900 for value in random.random(50)],
            "plan": [None if code == 3 else "abc"[code] for code in random.integers(0, 4, 50).tolist()],
            "loyal": random.random(50) > 0.5,
        }
    )
    columns = schema.infer(table)
    return pl.DataFrame([dictionary.encoded(one) for one in schema.conformed(table, columns)]), columns


def test_a_table_in_pieces_gives_the_features_and_the_matrix_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    valid, columns = customers()
    functions, names = load(SOURCE), ("charges", "plan", "loyal", "share", "tariff")
    whole = features(valid, columns, functions, names)
    rows = np.arange(50) % 3 > 0
    encoder = fitted(whole.filter(rows))
    expected = matrix(encoder, whole)
    monkeypatch.setattr(dictionary, "PIECE", 7)
    assert features(valid, columns, functions, names).equals(whole)
    assert np.array_equal(matrix(encoder, whole), expected)
    assert np.array_equal(matrix(encoder, whole, rows), expected[rows])


def test_text_as_codes_is_encoded_as_text_is() -> None:
    valid, columns = customers()
    coded = features(valid, columns, load(SOURCE), ("charges", "plan", "tariff"))
    text = coded.cast({pl.Enum: pl.String})
    assert fitted(coded) == fitted(text) == encoding.fit(arrays(text), kinds(arrays(text)), text.columns)
    whole = matrix(fitted(coded), coded)
    assert np.array_equal(whole, matrix(fitted(text), text))
    assert np.array_equal(whole, encoding.transform(fitted(text), arrays(text)))


def test_a_function_that_looks_at_its_piece_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    valid, columns = customers()
    monkeypatch.setattr(dictionary, "PIECE", 20)
    with pytest.raises(ProjectError, match="above"):
        features(valid, columns, load("def above(charges):\n    return charges - charges.mean()"), ("above",))
