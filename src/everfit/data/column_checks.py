"""Checks on one column, and the words in which a person reads what was found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from everfit.data.reading import flat, numbers, read, text
from everfit.project.sections.data import ColumnCheck
from everfit.records.table import CheckResult, Column, Kind, Severity

_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Inspected:
    """A column read as its kind: the values as found, as read, and true where one could not be read."""

    column: Column
    kind: Kind
    found: pl.Series
    values: pl.Series
    unreadable: pl.Series

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    @property
    def failures(self) -> int:
        """How many values could not be read."""
        return int(self.unreadable.sum())

    def word(self, value: object) -> str:
        """How the table writes a value that was read."""
        return str(self.found[(self.values == value).arg_max() or 0]) if value is not None else "no class"

    def all_but(
        self, check: str, bad: pl.Series, word: str, expected: str, severity: Severity = Severity.ERROR
    ) -> CheckResult:
        """A check that no row is `bad`; what was observed counts them and shows the first."""
        bad = bad.fill_null(False)
        count = int(bad.sum())
        if not count:
            return result(check, self.name, True, f"0 values {word}", expected, severity, 0)
        row = bad.arg_max() or 0
        shown = str(self.found[row])
        shown = shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "..."
        noun = "value" if count == 1 else "values"
        observed = f"{count} {noun} {word}, first in row {row + 1}"
        if self.found[row] is not None:
            observed += f": {shown}"
        return result(check, self.name, False, observed, expected, severity, count)


def inspect(series: pl.Series, column: Column) -> Inspected:
    """The column read as its kind, nothing raised for what cannot be read.

    >>> inspect(pl.Series(["1", "x"]), Column("a", Kind.NUMERIC)).failures
    1
    """
    reading = read(series, column.kind, column.format)
    return Inspected(column, column.kind, flat(series), reading.values, reading.unreadable)


def result(
    check: str,
    column: str | None,
    passed: bool,
    observed: str,
    expected: str,
    severity: Severity = Severity.ERROR,
    failed: int | None = None,
) -> CheckResult:
    """A result, an error unless said otherwise.

    >>> result("rows", None, True, "3 rows", "at least 1 row").severity.value
    'error'
    """
    return CheckResult(check, column, passed, severity, observed, expected, failed)


def check_readable(column: Inspected, kind: Kind, severity: Severity) -> CheckResult:
    """Whether every value reads as the kind; text kinds take anything.

    >>> column = inspect(pl.Series("age", ["31", "old"]), Column("age", Kind.NUMERIC))
    >>> check_readable(column, Kind.NUMERIC, Severity.ERROR).observed
    '1 value unreadable, first in row 2: old'
    """
    reads = column.unreadable
    if kind is not column.kind:
        reads = read(column.found, kind, column.column.format).unreadable
    return column.all_but("type", reads, "unreadable", kind.value, severity)


def check_column(column: Inspected, one: ColumnCheck) -> Iterator[CheckResult]:
    """The results of what the check asks, one each.

    >>> column = inspect(pl.Series("id", ["a", "a"]), Column("id", Kind.IDENTIFIER))
    >>> [found.observed for found in check_column(column, ColumnCheck(column="id", unique=True))]
    ['1 value repeated, first in row 2: a']
    """
    if one.type is not None:
        yield check_readable(column, one.type, one.severity)
    if one.nulls is not None:
        missing = column.values.null_count()
        share = missing / len(column.values) if len(column.values) else 0.0
        limit = f"at most {one.nulls:.2%}"
        yield result("nulls", one.column, share <= one.nulls, f"{share:.2%}", limit, one.severity, missing)
    if one.min is not None or one.max is not None:
        yield _range(column, one)
    if one.allowed is not None:
        yield _allowed(column, one)
    if one.unique:
        repeated = ~column.values.is_first_distinct() & column.values.is_not_null()
        yield column.all_but("unique", repeated, "repeated", "no value twice", one.severity)


def _range(column: Inspected, one: ColumnCheck) -> CheckResult:
    values = column.values if column.kind is Kind.NUMERIC else numbers(column.found)
    low, high = one.min, one.max
    outside = pl.Series([False]).new_from_index(0, len(values))
    wanted = []
    if low is not None:
        outside |= values < low
        wanted.append(f"at least {low:g}")
    if high is not None:
        outside |= values > high
        wanted.append(f"at most {high:g}")
    return column.all_but("range", outside, "outside", " and ".join(wanted), one.severity)


def _allowed(column: Inspected, one: ColumnCheck) -> CheckResult:
    words = [str(text(pl.Series([value]))[0]) for value in one.allowed or ()]
    allowed = read(pl.Series(words, dtype=pl.String), column.kind, column.column.format).values
    foreign = column.values.is_not_null() & ~column.values.is_in(allowed.drop_nulls().unique().to_list())
    return column.all_but("allowed", foreign | column.unreadable, "not allowed", ", ".join(words), one.severity)
