"""Splits: exact shares, nothing shared between training and test, the same again from the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from everfit.data.folds import fold_numbers
from everfit.data.lots import lots
from everfit.data.split import test_rows as split_rows
from everfit.errors import ChecksFailed, ProjectError
from everfit.project.sections.data import Split

UNTIMED = settings(deadline=None)
COUNTS = st.lists(st.integers(2, 60), min_size=2, max_size=4)
SHARES = st.floats(0.05, 0.6)


def labels(counts: list[int]) -> NDArray[Any]:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


def split(y: NDArray[Any], rule: Split, seed: int = 0, stratify: bool = True, **columns: Any) -> NDArray[np.bool_]:
    frame = pl.DataFrame({"id": np.arange(len(y)), "y": y, **columns})
    seeded = rule.model_copy(update={"seed": seed})
    return split_rows(frame, seeded, y, stratify, "time" if "time" in columns else None, "id")


@UNTIMED
@given(COUNTS, SHARES, st.integers(0, 5))
def test_each_class_gives_its_share_to_the_row(counts: list[int], share: float, seed: int) -> None:
    y = labels(counts)
    mask = split(y, Split(test=share), seed)
    for one, count in enumerate(counts):
        tested = int(mask[y == one].sum())
        assert 1 <= tested <= count - 1
        assert abs(tested - count * share) < 1 or tested in (1, count - 1)


def test_the_whole_share_is_exact() -> None:
    y = labels([733, 267])
    mask = split(y, Split(test=0.2))
    assert (mask.sum(), mask[y == 1].sum()) == (200, 53)


def test_the_same_seed_gives_the_same_rows_and_another_gives_others() -> None:
    y = labels([50, 50])
    assert np.array_equal(split(y, Split(), 3), split(y, Split(), 3))
    assert not np.array_equal(split(y, Split(), 3), split(y, Split(), 4))


@pytest.mark.parametrize("entity", ["id", None])
def test_rows_stay_where_they_were_when_the_table_grows_and_is_reordered(entity: str | None) -> None:
    random = np.random.default_rng(5)
    frame = pl.DataFrame({"id": [f"customer {i}" for i in range(6_000)], "x": random.normal(size=6_000)})
    y = random.integers(0, 2, 6_000)
    small = split_rows(frame[:4_000], Split(), y[:4_000], True, None, entity)
    order = random.permutation(6_000)
    large = np.empty(6_000, dtype=bool)
    large[order] = split_rows(frame[order], Split(), y[order], True, None, entity)
    assert (small == large[:4_000]).mean() > 0.985
    assert (small == split_rows(frame[:4_000], Split(), y[:4_000], True, None, entity)).all()


def test_lots_are_even_and_belong_to_the_row() -> None:
    frame = pl.DataFrame({"name": ["Zoë", "a long name of a customer", None, "Zoë"], "x": [1.0, 0.0, None, 1.0]})
    drawn = lots(frame, None, 1)
    assert drawn[0] == drawn[3]
    assert len(set(drawn.tolist())) == 3
    assert lots(frame[:1], None, 1)[0] == drawn[0]
    many = lots(pl.DataFrame({"i": range(20_000)}), "i", 3)
    assert np.histogram(many, 20, (0, 1))[0] == pytest.approx(np.full(20, 1_000), abs=150)


@given(st.integers(2, 6), st.booleans())
def test_folds_take_turns_class_by_class(folds: int, stratify: bool) -> None:
    y = labels([37, 18, 25])
    numbers = fold_numbers(y, folds, stratify=stratify, seed=3)
    assert set(numbers) == set(range(folds))
    assert np.ptp(np.bincount(numbers)) <= 1
    if stratify:
        assert all(np.ptp(np.bincount(numbers[y == one], minlength=folds)) <= 1 for one in range(3))
    assert np.array_equal(numbers, fold_numbers(y, folds, stratify=stratify, seed=3))


def test_folds_keep_groups_whole_and_times_together() -> None:
    group = np.repeat(np.arange(20), 5)
    numbers = fold_numbers(np.zeros(100), 4, group=group)
    assert all(len(set(numbers[group == one])) == 1 for one in range(20))
    time = np.random.default_rng(0).permutation(100)
    by_time = fold_numbers(np.zeros(100), 4, time=time)
    assert (np.diff(by_time[np.argsort(time)]) >= 0).all()
    assert np.bincount(by_time).tolist() == [25] * 4


def test_regression_is_split_at_random() -> None:
    assert split(np.linspace(0, 1, 50), Split(test=0.3), stratify=False).sum() == 15


def test_a_class_of_one_row_is_refused() -> None:
    with pytest.raises(ChecksFailed, match="class 2 of the target has one row"):
        split(np.array([0, 0, 1, 1, 2]), Split())


@UNTIMED
@given(st.lists(st.integers(0, 12), min_size=3, max_size=60).filter(lambda times: len(set(times)) > 1), SHARES)
def test_the_newest_rows_are_the_test_and_ties_stay_together(times: list[int], share: float) -> None:
    mask = split(np.zeros(len(times)), Split(test=share, by="time"), stratify=False, time=times)
    assert 0 < mask.sum() < len(times)
    assert np.array(times)[~mask].max() < np.array(times)[mask].min()


def test_without_ties_the_newest_share_is_exact() -> None:
    mask = split(np.zeros(100), Split(test=0.2, by="time"), stratify=False, time=list(range(100, 0, -1)))
    assert np.flatnonzero(mask).tolist() == list(range(20))


@UNTIMED
@given(st.lists(st.integers(0, 9), min_size=2, max_size=60).filter(lambda groups: len(set(groups)) > 1), SHARES)
def test_no_group_is_in_both_parts(groups: list[int], share: float) -> None:
    rule = Split(test=share, by="group", group="g")
    mask = split(np.zeros(len(groups)), rule, stratify=False, g=groups)
    found = np.array(groups)
    assert 0 < mask.sum() < len(groups)
    assert not set(found[mask]) & set(found[~mask])


def test_groups_are_near_the_share_and_keep_the_classes() -> None:
    y = np.arange(400) // 4 % 2
    mask = split(y, Split(test=0.25, by="group", group="g"), g=np.arange(400) // 4)
    assert abs(mask.mean() - 0.25) < 0.02
    assert abs(y[mask].mean() - 0.5) < 0.1


def test_grouping_does_not_depend_on_the_order_of_rows() -> None:
    groups = np.arange(60) // 3
    rule = Split(test=0.3, by="group", group="g")
    mask = split(np.zeros(60), rule, stratify=False, g=groups)
    backwards = split(np.zeros(60), rule, stratify=False, g=groups[::-1])
    assert np.array_equal(mask, backwards[::-1])


@pytest.mark.parametrize(
    ("rule", "columns", "error"),
    [
        (Split(test=0.0), {}, ProjectError),
        (Split(test=1.0), {}, ProjectError),
        (Split(by="time"), {}, ProjectError),
        (Split(by="time"), {"time": [1] * 6}, ChecksFailed),
        (Split(by="time"), {"time": [1, 2, 3, 4, 5, None]}, ChecksFailed),
        (Split(by="group", group="g"), {}, ProjectError),
        (Split(by="group", group="g"), {"g": ["a"] * 6}, ChecksFailed),
        (Split(by="group", group="g"), {"g": ["a", None] * 3}, ChecksFailed),
    ],
)
def test_impossible_splits_are_refused(rule: Split, columns: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        split(np.array([0, 1] * 3), rule, **columns)


def test_a_split_by_time_that_leaves_a_class_out_is_refused() -> None:
    with pytest.raises(ChecksFailed, match="no row of class 1 of the target is among the training rows"):
        split(np.array([0, 0, 0, 0, 1, 0]), Split(test=0.4, by="time"), time=[1, 2, 3, 4, 5, 6])
