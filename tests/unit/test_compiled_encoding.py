from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everfit.compiled.encoding import CompiledEncoder
from everfit.errors import StepFailed
from everfit.features.encoder import fit, output_names, transform
from everfit.records.features import Encoder
from everfit.records.table import Kind

NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-5, 5).map(float)
LEVELS = st.none() | st.sampled_from(["a", "b", "c", "", "unseen", "\N{SNOWMAN}"])


def columns(values: Any) -> dict[str, Any]:
    """Rows of (x, flag, plan, city) as columns."""
    x, flag, plan, city = zip(*values, strict=True)
    texts = {"plan": np.array(plan, dtype=object), "city": np.array(city, dtype=object)}
    return {"x": np.array(x), "flag": np.array(flag), **texts}


ROW = st.tuples(NUMBERS, st.sampled_from([0.0, 1.0, np.nan]), LEVELS, LEVELS)
KINDS = {"x": Kind.NUMERIC, "flag": Kind.BOOLEAN, "plan": Kind.CATEGORICAL, "city": Kind.CATEGORICAL}


@settings(deadline=None)
@given(st.lists(ROW, min_size=1, max_size=8), st.lists(ROW, min_size=1, max_size=8))
def test_rows_are_encoded_to_the_bits_of_the_training_encoder(known: Any, rows: Any) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        encoder = fit(columns(known), KINDS, tuple(KINDS))
    compiled, found = CompiledEncoder(encoder), columns(rows)
    with np.errstate(invalid="ignore"):
        expected = transform(encoder, found)
    raw = compiled.raw(found)
    assert np.array_equal(compiled.many(raw), expected, equal_nan=True)
    assert np.array_equal([compiled.one(row.tobytes())[:] for row in raw], expected, equal_nan=True)
    assert compiled.width == len(output_names(encoder))


def test_an_absent_feature_is_named() -> None:
    encoder = fit({"x": np.ones(2), "y": np.ones(2)}, {"x": Kind.NUMERIC, "y": Kind.NUMERIC}, ["x", "y"])
    with pytest.raises(StepFailed, match="y: a feature that the model reads is absent"):
        CompiledEncoder(encoder).raw({"x": np.ones(2)})


def test_a_model_without_features_encodes_nothing() -> None:
    assert CompiledEncoder(Encoder((), ())).raw({}).shape == (0, 0)
