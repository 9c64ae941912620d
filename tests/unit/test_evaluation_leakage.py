"""Planted leakage is found, and honest tables are left alone."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from everfit.evaluation.leakage import future, warnings
from everfit.records.evaluation import LeakKind
from everfit.records.table import Task

Ints = NDArray[np.int64]


def honest(rows: int = 2000, seed: int = 1) -> tuple[pl.DataFrame, Ints, NDArray[np.bool_]]:
    """Features of the usual kinds, some of which predict well."""
    random = np.random.default_rng(seed)
    risk = random.normal(-1, 2, rows)
    y = (random.random(rows) < 1 / (1 + np.exp(-risk))).astype(np.int64)
    frame = pl.DataFrame(
        {
            "risk": risk + 0.3 * random.normal(size=rows),
            "charges": random.gamma(2.0, 30.0, rows),
            "salary": random.integers(20_000, 90_000, rows).astype(np.float64),
            "tenure": random.integers(0, 72, rows).astype(np.float64),
            "plan": random.choice(np.array(["a", "b", None], dtype=object), rows),
            "city": [f"city {i}" for i in random.integers(0, 300, rows)],
        }
    )
    return frame, y, random.random(rows) < 0.2


@pytest.mark.parametrize("rows", [120, 2000])
def test_honest_tables_give_no_warning(rows: int) -> None:
    for seed in range(10):
        assert warnings(*honest(rows, seed), Task.BINARY) == ()


@pytest.mark.parametrize("kind", ["copy", "text", "missing", "hump"])
def test_a_feature_that_tells_the_target_alone_is_found(kind: str) -> None:
    frame, y, test = honest()
    random = np.random.default_rng(3)
    told = {
        "copy": y + 0.01 * random.normal(size=len(y)),
        "text": np.where(y == 1, "left", "stays"),
        "missing": np.where(y == 1, np.nan, random.normal(size=len(y))),
        "hump": np.where(y == 1, random.uniform(4, 5, len(y)), random.choice([1.0, 9.0], len(y))),
    }[kind]
    found = warnings(frame.with_columns(pl.Series("told", told, nan_to_null=False)), y, test, Task.BINARY)
    assert [(one.kind, one.column) for one in found] == [(LeakKind.PREDICTS_ALONE, "told")]
    assert "area under the ROC curve of 0.9" in found[0].reason or "of 1.000" in found[0].reason


def test_a_feature_that_tells_one_of_several_classes_is_found() -> None:
    frame, _, test = honest()
    y = np.random.default_rng(1).integers(0, 3, len(test))
    found = warnings(frame.with_columns(pl.Series("told", (y == 2).astype(float))), y, test, Task.MULTICLASS)
    assert [one.column for one in found] == ["told"]


def test_a_feature_that_explains_a_value_is_found() -> None:
    frame, _, test = honest()
    random = np.random.default_rng(5)
    y = random.normal(size=len(test))
    close, useful = y + 0.05 * random.normal(size=len(y)), y + 0.4 * random.normal(size=len(y))
    found = warnings(frame.with_columns(close=pl.Series(close), useful=pl.Series(useful)), y, test, Task.REGRESSION)
    assert [one.column for one in found] == ["close"]
    assert "of the target's variance alone" in found[0].reason


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("customer_id", lambda random, rows: random.permutation(10**9 + 7919 * np.arange(rows)).astype(float)),
        ("AccountNo", lambda random, rows: random.permutation(10**9 + 7919 * np.arange(rows)).astype(float)),
        ("column 1", lambda random, rows: random.permutation(rows).astype(float)),
        ("stamp", lambda random, rows: np.cumsum(random.integers(1, 900, rows)).astype(float)),
        ("code", lambda random, rows: np.array([f"K-{i:x}" for i in random.permutation(rows)])),
    ],
)
def test_an_identifier_among_the_features_is_found(name: str, values: object) -> None:
    frame, y, test = honest()
    assert callable(values)
    found = warnings(
        frame.with_columns(pl.Series(name, values(np.random.default_rng(2), len(y)))), y, test, Task.BINARY
    )
    assert [(one.kind, one.column) for one in found] == [(LeakKind.IDENTIFIER, name)]


def test_test_rows_that_were_trained_on_are_found() -> None:
    frame, y, test = honest()
    copied = np.flatnonzero(test)[:60]
    frame, y = pl.concat([frame, frame[copied]]), np.append(y, y[copied])
    found = warnings(frame, y, np.append(test, np.zeros(60, dtype=np.bool_)), Task.BINARY)
    assert [(one.kind, one.column) for one in found] == [(LeakKind.REPEATED, None)]


def test_rows_that_are_alike_by_nature_are_no_copies() -> None:
    random = np.random.default_rng(1)
    frame = pl.DataFrame({"a": random.choice(["x", "y"], 500), "b": random.integers(0, 3, 500).astype(float)})
    assert warnings(frame, random.integers(0, 2, 500), random.random(500) < 0.2, Task.BINARY) == ()


def test_dates_after_the_rows_own_time_are_found() -> None:
    times = np.datetime64("2024-01-01", "us") + np.arange(1000) * np.timedelta64(1, "D")
    nothing = np.full(1000, np.datetime64("NaT"), dtype="datetime64[us]")
    ended = times + np.timedelta64(30, "D")
    dates = {
        "signup": times - np.timedelta64(9, "D"),
        "ended": np.where(np.arange(1000) % 5, nothing, ended),
        "no": nothing,
    }
    found = future(dates, times)
    assert [(one.kind, one.column) for one in found] == [(LeakKind.FUTURE, "ended")]
    assert found[0].reason.startswith("100.0% of its dates lie after")


def test_one_odd_date_is_no_leak() -> None:
    times = np.full(2000, np.datetime64("2024-01-01", "us"))
    dates = np.full(2000, np.datetime64("2023-01-01", "us"))
    dates[0] = np.datetime64("2025-01-01")
    assert future({"signup": dates}, times) == ()


def test_tables_with_hardly_any_rows_are_passed_over() -> None:
    frame, y, test = honest(12)
    assert warnings(frame, y, test, Task.BINARY) == ()
    assert warnings(frame, y, np.zeros(12, dtype=np.bool_), Task.BINARY) == ()
