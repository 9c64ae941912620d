"""Checks: what is wrong with a table is reported all at once, with the first row that shows it."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everfit.data import propose
from everfit.data.checks import check
from everfit.data.schema import conform, infer
from everfit.project.sections.data import Bounds, Check, ColumnCheck, TableCheck
from everfit.records.table import CheckResult, Column, Kind, QualityReport, Schema, Severity

UNTIMED = settings(deadline=None)
GOOD = pl.DataFrame(
    {
        "id": [f"c{i:03}" for i in range(40)],
        "age": [str(20 + i) for i in range(40)],
        "plan": ["basic", "plus"] * 20,
        "since": [f"2024-01-{1 + i % 28:02}" for i in range(40)],
        "left": ["yes", "no", "no", "no"] * 10,
    }
)
SCHEMA = infer(GOOD)


def report(frame: pl.DataFrame, *checks: Check, target: str | None = "left") -> QualityReport:
    return check(frame, SCHEMA, checks, target)


def issue(frame: pl.DataFrame, *checks: Check, target: str | None = "left") -> CheckResult:
    (only,) = report(frame, *checks, target=target).issues
    return only


def changed(column: str, row: int, value: Any) -> pl.DataFrame:
    values: list[Any] = GOOD[column].to_list()
    values[row] = value
    return GOOD.with_columns(pl.Series(column, values, strict=False))


def test_a_good_table_has_no_issues_and_full_score() -> None:
    found = report(GOOD)
    assert (found.is_valid, found.issues, found.score, found.rows) == (True, (), 1.0, 40)


def test_the_same_holds_for_the_conformed_table() -> None:
    assert report(conform(GOOD, SCHEMA)).issues == ()


def test_absent_columns_are_errors() -> None:
    found = report(GOOD.drop("age", "left"))
    assert [(one.check, one.column) for one in found.issues] == [("exists", "age"), ("exists", "left")]
    assert not found.is_valid


def test_a_checked_column_that_is_not_there_is_an_error() -> None:
    assert issue(GOOD, ColumnCheck(column="agee", min=0)).column == "agee"


def test_unreadable_values_are_counted_and_the_first_is_shown() -> None:
    found = issue(changed("age", 6, "old"))
    assert (found.check, found.observed) == ("type", "1 value unreadable, first in row 7: old")


def test_the_type_of_a_column_can_be_asked_for() -> None:
    found = issue(GOOD, ColumnCheck(column="plan", type=Kind.NUMERIC))
    assert found.observed == "40 values unreadable, first in row 1: basic"


def test_infinite_numbers_are_errors() -> None:
    assert issue(changed("age", 0, "inf")).check == "finite"


@pytest.mark.parametrize("day", ["0024-01-01", "2924-01-01"])
def test_implausible_dates_are_errors(day: str) -> None:
    assert issue(changed("since", 3, day)).observed == f"1 value implausible, first in row 4: {day}"


def test_dates_are_checked_in_a_conformed_table_too() -> None:
    frame = pl.DataFrame({"d": [datetime(1800, 1, 1)] * 2})  # noqa: DTZ001
    assert check(frame, Schema((Column("d", Kind.DATE),)), (), None).issues[0].check == "dates"


def test_columns_without_values_are_warnings() -> None:
    found = report(GOOD.with_columns(age=pl.lit("  ")))
    assert [(one.check, one.severity) for one in found.issues] == [("empty", Severity.WARNING)]
    assert found.is_valid
    assert 0 < found.score < 1


def test_names_that_differ_in_case_only_are_warnings() -> None:
    assert issue(GOOD.with_columns(Age=pl.lit("1"))).observed == "age, Age"


def test_an_empty_table_is_invalid() -> None:
    assert not report(GOOD.head(0)).is_valid


@pytest.mark.parametrize("missing", [None, "", " "])
def test_missing_targets_are_errors(missing: str | None) -> None:
    found = issue(changed("left", 2, missing))
    assert (found.check, found.observed.startswith("1 value missing, first in row 3")) == ("target_missing", True)


def test_constant_targets_are_errors() -> None:
    assert issue(GOOD.with_columns(left=pl.lit("no"))).check == "target_constant"


def test_classes_of_one_row_are_errors() -> None:
    frame = GOOD.with_columns(plan=pl.Series(["basic"] * 39 + ["gold"]))
    assert issue(frame, target="plan").observed == "1 rows of gold"


def test_a_regression_target_needs_no_rows_a_class() -> None:
    frame = pl.DataFrame({"price": [0.5, 1.5, 2.25]})
    assert check(frame, infer(frame), (), "price").issues == ()


@pytest.mark.parametrize(
    ("asked", "observed"),
    [
        (ColumnCheck(column="age", min=25), "5 values outside, first in row 1: 20"),
        (ColumnCheck(column="age", max=58), "1 value outside, first in row 40: 59"),
        (ColumnCheck(column="plan", allowed=("basic",)), "20 values not allowed, first in row 2: plus"),
        (ColumnCheck(column="age", allowed=tuple(range(20, 59))), "1 value not allowed, first in row 40: 59"),
        (ColumnCheck(column="left", allowed=(False,)), "10 values not allowed, first in row 1: yes"),
        (ColumnCheck(column="plan", unique=True), "38 values repeated, first in row 3: basic"),
        (TableCheck(rows=Bounds(min=41)), "40 rows"),
        (TableCheck(rows=Bounds(max=39)), "40 rows"),
        (TableCheck(class_share=0.3), "25.00% are yes"),
    ],
)
def test_what_breaks_a_check_is_observed(asked: Check, observed: str) -> None:
    found = issue(GOOD, asked)
    assert found.observed == observed


@pytest.mark.parametrize(
    "kept",
    [
        ColumnCheck(column="age", min=20, max=59, nulls=0, type=Kind.NUMERIC),
        ColumnCheck(column="plan", allowed=("basic", "plus")),
        ColumnCheck(column="left", allowed=("Yes", "No")),
        ColumnCheck(column="id", unique=True),
        TableCheck(rows=Bounds(min=40, max=40), nulls=0, duplicates=0, class_share=0.25),
    ],
)
def test_what_keeps_a_check_passes(kept: Check) -> None:
    assert report(GOOD, kept).issues == report(conform(GOOD, SCHEMA), kept).issues == ()


def test_null_shares_count_blanks() -> None:
    frame = changed("age", 0, " ")
    assert issue(frame, ColumnCheck(column="age", nulls=0.02)).observed == "2.50%"
    assert issue(frame, TableCheck(nulls=0.004)).observed == "0.50%"


def test_missing_values_are_neither_outside_nor_foreign_nor_repeated() -> None:
    frame = pl.DataFrame({"a": ["1", None, None]})
    asked = ColumnCheck(column="a", min=0, max=2, allowed=(1,), unique=True)
    assert check(frame, Schema((Column("a", Kind.NUMERIC),)), (asked,), None).issues == ()


def test_repeated_rows_are_counted() -> None:
    assert issue(pl.concat([GOOD, GOOD.head(10)]), TableCheck(duplicates=0.1)).observed == "20.00%"


def test_warnings_leave_the_table_valid_and_weigh_half() -> None:
    strict, lenient = (report(GOOD, TableCheck(rows=Bounds(min=99), severity=one)) for one in Severity)
    assert (strict.is_valid, lenient.is_valid) == (False, True)
    assert strict.score < lenient.score < 1


COLUMNS = {
    "id": st.uuids().map(str),
    "n": st.none() | st.floats(-1e9, 1e9, allow_nan=False),
    "share": st.floats(0, 1),
    "c": st.none() | st.sampled_from(["red", "green", "blue"]),
    "b": st.sampled_from(["yes", "no"]),
}


@UNTIMED
@given(st.lists(st.fixed_dictionaries(COLUMNS), min_size=4, max_size=40))
def test_proposed_checks_pass_on_the_table_they_come_from(rows: list[dict[str, Any]]) -> None:
    frame = pl.DataFrame(rows, schema={"id": pl.String, "n": pl.Float64, "share": pl.Float64, "c": str, "b": str})
    schema = infer(frame, {"n": Kind.NUMERIC, "share": Kind.NUMERIC, "c": Kind.CATEGORICAL})
    asked = propose.checks(schema, frame.height, "b")
    always = {one.check for one in check(frame, schema, (), "b").issues}
    assert {one.check for one in check(frame, schema, asked, "b").issues} == always


def test_proposals_have_slack_but_keep_what_is_never_negative() -> None:
    columns = (
        Column("id", Kind.IDENTIFIER, distinct=7043),
        Column("tenure", Kind.NUMERIC, distinct=73, minimum=0, maximum=72, whole=True),
        Column("balance", Kind.NUMERIC, distinct=900, minimum=-50, maximum=1000),
        Column("plan", Kind.CATEGORICAL, distinct=2, levels=("a", "b"), counts=(5000, 2043)),
        Column("left", Kind.BOOLEAN, distinct=2, levels=("No", "Yes"), counts=(5174, 1869)),
    )
    table, ident, tenure, balance, plan, target = propose.checks(Schema(columns), 7043, "left")
    assert isinstance(table, TableCheck)
    assert table.rows == Bounds(min=3521)
    assert isinstance(ident, ColumnCheck)
    assert ident.unique
    assert ident.nulls == 0
    assert isinstance(tenure, ColumnCheck)
    assert (tenure.min, tenure.max, tenure.nulls) == (0, 150, 0.01)
    assert isinstance(balance, ColumnCheck)
    assert balance.min is not None
    assert balance.min < -50
    assert isinstance(plan, ColumnCheck)
    assert plan.allowed == ("a", "b")
    assert isinstance(target, TableCheck)
    assert target.class_share == pytest.approx(0.1)


def test_bounds_are_round_numbers() -> None:
    column = Column("charge", Kind.NUMERIC, distinct=900, minimum=18.25, maximum=118.75)
    (_, one) = propose.checks(Schema((column,)), 1000, None)
    assert isinstance(one, ColumnCheck)
    assert one.max is not None
    assert math.log10(one.max / 2) % 1 == 0
