"""The target: task, classes, encoded values."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from everfit.data.schema import conform, infer
from everfit.data.target import classes, encode, task
from everfit.errors import ChecksFailed, ProjectError, SourceError
from everfit.project.sections.data import Target
from everfit.records.table import Task


def table(values: list[Any]) -> pl.DataFrame:
    return pl.DataFrame({"t": values})


def task_of(values: list[Any], **settings: Any) -> Task:
    return task(infer(table(values)), Target(column="t", **settings))


def classes_of(values: list[Any], **settings: Any) -> tuple[str, ...]:
    target = Target(column="t", **settings)
    return classes(table(values), target, task(infer(table(values)), target))


@pytest.mark.parametrize("values", [["Yes", "No"], [0, 1], ["cat", "dog"], [1.0, 2.0]])
def test_two_values_are_binary(values: list[Any]) -> None:
    assert task_of(values) is Task.BINARY


@pytest.mark.parametrize("values", [["a", "b", "c"] * 2, [1, 2, 3] * 2])
def test_few_categories_or_whole_numbers_are_multiclass(values: list[Any]) -> None:
    assert task_of(values) is Task.MULTICLASS


@pytest.mark.parametrize("values", [[0.5, 1.0, 2.0], list(range(50))])
def test_fractions_and_many_whole_numbers_are_regression(values: list[Any]) -> None:
    assert task_of(values) is Task.REGRESSION


def test_the_task_given_wins() -> None:
    assert task_of([1, 2, 3], task="regression") is Task.REGRESSION


@pytest.mark.parametrize("values", [["a", "a"], [1, 1], [None, None], ["", "a"]])
def test_a_constant_target_is_refused(values: list[Any]) -> None:
    with pytest.raises(ChecksFailed, match="nothing can be learned"):
        task_of(values)


DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]


@pytest.mark.parametrize(
    ("values", "asked"), [(["a", "b", "c"], "binary"), (["a", "b", "c"], "regression"), (DAYS, None)]
)
def test_a_task_that_does_not_fit_is_refused(values: list[Any], asked: str | None) -> None:
    with pytest.raises(ProjectError, match="column 't'"):
        task_of(values, task=asked)


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(ProjectError, match="columns: t"):
        task(infer(table([1, 2])), Target(column="nope"))


def test_the_rarer_value_is_positive() -> None:
    assert classes_of(["dog", "cat", "cat"]) == ("cat", "dog")
    assert classes_of(["cat", "dog", "dog"]) == ("dog", "cat")
    assert classes_of(["Yes", "Yes", "No"]) == ("Yes", "No")


def test_of_equally_frequent_values_yes_is_positive() -> None:
    assert classes_of(["No", "Yes"]) == ("No", "Yes")
    assert classes_of(["a", "b"]) == ("a", "b")


@pytest.mark.parametrize("positive", ["No", "no", 0, False, "false"])
def test_the_positive_value_is_matched_however_it_is_written(positive: str | int | bool) -> None:
    assert classes_of(["Yes", "No", "No"], positive=positive) == ("Yes", "No")


def test_a_positive_that_is_no_value_is_refused() -> None:
    with pytest.raises(ProjectError, match="they are"):
        classes_of(["cat", "dog"], positive="cow")


def test_several_classes_are_sorted_numbers_by_size() -> None:
    assert classes_of([10, 9, 2]) == ("2", "9", "10")
    assert classes_of(["b", "a", "c"] * 2) == ("a", "b", "c")


def test_spellings_of_yes_are_one_class() -> None:
    names = classes_of(["Yes", "YES", "no", "No", "no"])
    assert len(names) == 2
    assert encode(table(["YES", "yes", "NO"]), "t", names, Task.BINARY).tolist() == [1, 1, 0]


@pytest.mark.parametrize("values", [["Yes", "No", "No"], [1, 0, 0], ["t", "f", "f"]])
def test_a_conformed_table_gives_the_same_classes_and_y(values: list[Any]) -> None:
    raw, target = table(values), Target(column="t")
    schema = infer(raw)
    names = classes(raw, target, Task.BINARY)
    assert classes(conform(raw, schema), target, Task.BINARY, schema) == names
    y = encode(raw, "t", names, Task.BINARY)
    assert y.tolist() == encode(conform(raw, schema), "t", names, Task.BINARY).tolist() == [1, 0, 0]
    assert y.dtype == np.int64


def test_a_conformed_table_without_schema_is_named_by_the_positive() -> None:
    frame = table([True, False, False])
    assert classes(frame, Target(column="t", positive="Yes"), Task.BINARY) == ("No", "Yes")
    assert classes(frame, Target(column="t"), Task.BINARY) == ("false", "true")


def test_missing_targets_are_refused_not_invented() -> None:
    with pytest.raises(ChecksFailed, match="missing in 2 of 4 rows, first in row 2"):
        encode(table(["Yes", "", None, "No"]), "t", ("No", "Yes"), Task.BINARY)
    with pytest.raises(ChecksFailed):
        encode(table([1.0, float("nan")]), "t", (), Task.REGRESSION)


def test_values_outside_the_classes_are_named() -> None:
    with pytest.raises(SourceError, match="row 2: 'perhaps'"):
        encode(table(["Yes", "perhaps"]), "t", ("No", "Yes"), Task.BINARY)
    with pytest.raises(SourceError, match="row 1: 'high'"):
        encode(table(["high"]), "t", (), Task.REGRESSION)


def test_regression_values_are_floats() -> None:
    y = encode(table(["1", "2.5"]), "t", (), Task.REGRESSION)
    assert y.dtype == np.float64
    assert y.tolist() == [1.0, 2.5]
