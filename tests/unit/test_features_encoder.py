from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from everfit.errors import StepFailed
from everfit.features.encoder import fit, output_names, transform
from everfit.records import codec
from everfit.records.features import Encoder
from everfit.records.table import Kind

KINDS = {"x": Kind.NUMERIC, "b": Kind.BOOLEAN, "c": Kind.CATEGORICAL}
ROW = st.tuples(
    st.one_of(st.floats(width=64), st.just(float("nan"))),
    st.sampled_from([0.0, 1.0, float("nan")]),
    st.one_of(st.none(), st.sampled_from(["a", "b", "c", ""])),
)


def table(rows: list[tuple[float, float, str | None]]) -> dict[str, NDArray[Any]]:
    return {
        "x": np.array([r[0] for r in rows], dtype=np.float64),
        "b": np.array([r[1] for r in rows], dtype=np.float64),
        "c": np.array([r[2] for r in rows], dtype=object),
    }


TRAIN = table([(1.0, 1.0, "b"), (3.0, 1.0, "a"), (8.0, 0.0, None), (np.nan, np.nan, "b")])


def fitted() -> Encoder:
    return fit(TRAIN, KINDS, ["c", "x", "b"])


def test_names_say_what_each_output_is() -> None:
    assert output_names(fitted()) == ("x", "x?", "b", "b?", "c=a", "c=b")


def test_numbers_are_filled_with_the_median_and_standardised() -> None:
    matrix = transform(fitted(), TRAIN)
    filled = np.array([1.0, 3.0, 8.0, 3.0])
    np.testing.assert_array_equal(matrix[:, 0], (filled - filled.mean()) / filled.std())
    np.testing.assert_array_equal(matrix[:, 1], [0, 0, 0, 1])


def test_missing_booleans_become_the_more_frequent_value() -> None:
    assert next(e for e in fitted().numeric if e.name == "b").fill == 1.0


def test_unseen_and_missing_levels_are_all_zeros() -> None:
    matrix = transform(fitted(), table([(1.0, 1.0, "new"), (1.0, 1.0, None), (1.0, 1.0, "a")]))
    np.testing.assert_array_equal(matrix[:, 4:], [[0, 0], [0, 0], [1, 0]])


def test_no_indicator_where_nothing_was_missing_in_training() -> None:
    encoder = fit({"x": np.array([1.0, 2.0])}, KINDS, ["x"])
    assert output_names(encoder) == ("x",)
    assert transform(encoder, {"x": np.array([np.nan])}).tolist() == [[0.0]]


def test_the_rarest_levels_share_all_zeros() -> None:
    column = np.array(["a"] * 3 + ["b"] * 2 + ["d", "c"], dtype=object)
    encoder = fit({"c": column}, KINDS, ["c"], max_levels=3)
    assert encoder.categorical[0].levels == ("a", "b", "c")


def test_a_constant_is_not_scaled() -> None:
    encoder = fit({"x": np.full(7, 0.1)}, KINDS, ["x"])
    assert encoder.numeric[0].scale == 1.0


def test_a_column_without_values_is_encoded_as_missing() -> None:
    encoder = fit({"x": np.full(3, np.nan), "c": np.array([None] * 3, dtype=object)}, KINDS, ["x", "c"])
    assert transform(encoder, {"x": np.array([5.0]), "c": np.array(["a"], dtype=object)}).tolist() == [[5.0, 0.0]]


def test_an_extreme_value_stays_finite_in_single_precision() -> None:
    values = {**table([(1e308, 0.0, "a"), (-1e308, 0.0, "a")])}
    assert np.isfinite(transform(fitted(), values).astype(np.float32)).all()


def test_dates_are_refused() -> None:
    with pytest.raises(StepFailed, match="date"):
        fit({"d": np.zeros(1, "M8[us]")}, {"d": Kind.DATE}, ["d"])


def test_an_absent_feature_is_named() -> None:
    with pytest.raises(StepFailed, match="absent") as caught:
        transform(fitted(), {"x": np.zeros(1), "b": np.zeros(1)})
    assert caught.value.where == "c"


def test_the_record_survives_json() -> None:
    encoder = fitted()
    again = codec.decode(Encoder, codec.encode(encoder))
    np.testing.assert_array_equal(transform(again, TRAIN), transform(encoder, TRAIN))


@given(st.lists(ROW, min_size=1, max_size=8))
def test_row_by_row_equals_the_batch_bit_for_bit(rows: list[tuple[float, float, str | None]]) -> None:
    encoder = fitted()
    batch = transform(encoder, table(rows))
    single = np.concatenate([transform(encoder, table([row])) for row in rows])
    assert batch.tobytes() == single.tobytes()
    assert np.isfinite(batch).all()


@given(st.lists(ROW, min_size=1, max_size=8))
def test_training_rows_encode_alike_whatever_else_is_encoded(rows: list[tuple[float, float, str | None]]) -> None:
    encoder = fitted()
    before = transform(encoder, TRAIN)
    joined = {name: np.concatenate([TRAIN[name], values]) for name, values in table(rows).items()}
    assert transform(encoder, joined)[:4].tobytes() == before.tobytes()
