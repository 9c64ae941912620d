"""The reference profile: small, exact where it can be, and a JSON document."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everfit.monitoring.columns import BUCKETS, counts, hashed
from everfit.monitoring.profile import LEVELS, SAMPLE, column, grid, profile
from everfit.records.codec import decode, encode
from everfit.records.profile import Profile
from everfit.records.table import Kind


def test_a_small_column_is_kept_whole_and_sorted() -> None:
    found = column("x", np.array([3.0, np.nan, 1.0, 2.0]), Kind.NUMERIC)
    assert found.sample == (1.0, 2.0, 3.0)
    assert (found.rows, found.nulls, found.mean, found.minimum, found.maximum) == (4, 1, 2.0, 1.0, 3.0)


def test_a_large_column_keeps_an_even_grid_with_its_ends() -> None:
    values = np.random.default_rng(0).normal(size=50_001)
    found = column("x", values, Kind.NUMERIC)
    ordered = np.sort(values)
    assert len(found.sample) == SAMPLE
    assert (found.sample[0], found.sample[-1]) == (ordered[0], ordered[-1])
    steps = np.diff(np.searchsorted(ordered, found.sample))
    assert steps.max() - steps.min() <= 1


@given(st.integers(1, 10_000), st.integers(1, 2_000))
def test_the_grid_rises_from_the_first_rank_to_the_last(values: int, points: int) -> None:
    ranks = grid(values, min(values, points))
    assert ranks[0] == 0
    assert (np.diff(ranks) >= 1).all()
    assert ranks[-1] == (values - 1 if len(ranks) > 1 else 0)


def test_levels_are_counted_and_missing_ones_are_not_a_level() -> None:
    found = column("c", np.array([None, "a", "b", "a"], dtype=object), Kind.CATEGORICAL)
    assert (found.counts, found.nulls, found.hashed) == ({"a": 2, "b": 1}, 1, False)


def test_a_column_of_too_many_levels_is_counted_by_hash_and_names_none() -> None:
    values = np.array([f"person{i}@example.org" for i in range(LEVELS + 1)], dtype=object)
    found = column("c", values, Kind.CATEGORICAL)
    assert found.hashed
    assert found.counts is not None
    assert len(found.counts) <= BUCKETS
    assert sum(found.counts.values()) == LEVELS + 1
    assert found.counts == hashed(counts(values))
    assert b"@" not in encode(found)


@pytest.mark.parametrize("kind", [Kind.IDENTIFIER, Kind.TEXT])
def test_of_identifiers_and_text_only_the_missing_are_counted(kind: Kind) -> None:
    found = column("id", np.array(["ann", None], dtype=object), kind)
    assert (found.rows, found.nulls, found.sample, found.counts) == (2, 1, (), None)


def test_dates_become_seconds() -> None:
    found = column("d", np.array(["1970-01-01T00:01", "NaT"], dtype="datetime64[us]"), Kind.DATE)
    assert (found.sample, found.nulls) == ((60.0,), 1)


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [np.inf, -np.inf, 1.0], [1e308, 1e308]])
def test_odd_columns_survive_json(values: list[float]) -> None:
    whole = profile({"x": np.array(values)}, {"x": Kind.NUMERIC}, np.array(values), "rmse", 1.0, len(values))
    assert decode(Profile, encode(whole)) == whole


def test_a_profile_does_not_grow_with_the_rows() -> None:
    values = np.random.default_rng(0).normal(size=200_000)
    kinds = {"x": Kind.NUMERIC}
    assert len(encode(profile({"x": values}, kinds, values, "rmse", 1.0, 1))) < 100_000
