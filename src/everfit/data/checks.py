"""Whether a table may be used: what the project asks of it, and what is always asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from everfit.data.column_checks import Inspected, check_column, check_readable, inspect, result
from everfit.data.target import is_class
from everfit.project.sections.data import Check, ColumnCheck, TableCheck
from everfit.records.table import CheckResult, Column, Kind, QualityReport, Schema, Severity

_EARLIEST, _LATEST = datetime(1900, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 conformed times have no zone
# A class needs a row to learn from and a row to be tested on.
_LEAST_CLASS_ROWS = 2


def check(frame: pl.DataFrame, schema: Schema, checks: Sequence[Check], target_name: str | None) -> QualityReport:
    """Holds a table, as read or conformed, against its schema and the project's checks.

    Always checked, as errors: every column of the schema is there, its values read as its kind, numbers are finite,
    dates lie between 1900 and 2200, the table has rows, the target is never missing, varies, and has two rows a class.
    As warnings: column names that differ in case or spaces only, and columns without a single value. Nothing raises
    but SourceError for nested columns: the report says all that is wrong at once.

    >>> from everfit.data.schema import infer
    >>> table = pl.DataFrame({"age": ["31", "-2", "40", "29"], "left": ["yes", "no", "no", "yes"]})
    >>> report = check(table, infer(table), [ColumnCheck(column="age", min=0)], "left")
    >>> [(issue.check, issue.observed) for issue in report.issues]
    [('range', '1 value outside, first in row 2: -2')]
    """
    read = _Read()
    for column in schema.columns:
        if column.name in frame.columns:
            # One after the other: read as its kind, a column takes as much room again as in the table.
            read.take(inspect(frame[column.name], column), checks, target_name)
    results = [*_structure(frame, schema, checks), *read.always]
    if read.target is not None:
        results += _target(read.target)
    for place, one in enumerate(checks):
        if isinstance(one, TableCheck):
            results += _table(frame, read, one)
        elif place in read.asked:
            results += read.asked[place]
        elif one.column in frame.columns:
            results += check_column(inspect(frame[one.column], Column(one.column, one.type or Kind.TEXT)), one)
    return QualityReport(frame.height, tuple(results), _score(results))


@dataclass(slots=True)
class _Read:
    """What the columns of the schema came to: `always` what every one is asked, `asked` what a check of the project
    asked of one, by the check's place."""

    columns: int = 0
    nulls: int = 0
    target: Inspected | None = None
    always: list[CheckResult] = field(default_factory=list)
    asked: dict[int, list[CheckResult]] = field(default_factory=dict)

    def take(self, column: Inspected, checks: Sequence[Check], target: str | None) -> None:
        """The next column."""
        is_target = column.name == target
        self.target = column if is_target else self.target
        self.columns += 1
        self.nulls += column.values.null_count()
        self.always += _always(column, is_target)
        for place, one in enumerate(checks):
            if isinstance(one, ColumnCheck) and one.column == column.name:
                self.asked[place] = list(check_column(column, one))


def _score(results: Sequence[CheckResult]) -> float:
    weights = [2 if one.severity is Severity.ERROR else 1 for one in results]
    passed = sum(weight for weight, one in zip(weights, results, strict=True) if one.passed)
    return passed / sum(weights) if weights else 1.0


def _structure(frame: pl.DataFrame, schema: Schema, checks: Sequence[Check]) -> Iterator[CheckResult]:
    asked = [one.column for one in checks if isinstance(one, ColumnCheck)]
    for name in dict.fromkeys((*schema.names, *asked)):
        found = name in frame.columns
        yield result("exists", name, found, "present" if found else "absent", "present")
    folded = [name.strip().casefold() for name in frame.columns]
    alike = [name for name, fold in zip(frame.columns, folded, strict=True) if folded.count(fold) > 1]
    yield result(
        "names", None, not alike, ", ".join(alike) or "all differ", "all differ in more than case", Severity.WARNING
    )
    yield result("rows", None, frame.height > 0, f"{frame.height} rows", "at least 1 row")


def _always(column: Inspected, is_target: bool) -> Iterator[CheckResult]:
    kind, values = column.kind, column.values
    if kind in (Kind.NUMERIC, Kind.BOOLEAN, Kind.DATE):
        yield check_readable(column, kind, Severity.ERROR)
    if not is_target:
        missing = values.null_count()
        empty = missing == len(values) and not column.failures
        found, gone = f"{len(values) - missing} values", len(values) if empty else 0
        yield result("empty", column.name, not empty, found, "at least 1 value", Severity.WARNING, gone)
    if kind is Kind.NUMERIC:
        yield column.all_but("finite", values.is_infinite(), "infinite", "finite numbers")
    if kind is Kind.DATE:
        odd = ~values.is_between(_EARLIEST, _LATEST)
        yield column.all_but("dates", odd, "implausible", "dates from 1900 to 2200")


def _target(column: Inspected) -> Iterator[CheckResult]:
    values = column.values
    yield column.all_but("target_missing", values.is_null() & ~column.unreadable, "missing", "a value in every row")
    counts = values.drop_nulls().value_counts(sort=True)
    yield result(
        "target_constant", column.name, counts.height > 1, f"{counts.height} distinct values", "at least 2 distinct"
    )
    if is_class(column.column) and counts.height:
        level, rows = counts.row(-1)
        observed = f"{rows} rows of {column.word(level)}"
        yield result(
            "target_classes", column.name, rows >= _LEAST_CLASS_ROWS, observed, f"at least {_LEAST_CLASS_ROWS} a class"
        )


def _table(frame: pl.DataFrame, read: _Read, one: TableCheck) -> Iterator[CheckResult]:
    rows = frame.height
    if one.rows is not None:
        low, high = one.rows.min, one.rows.max
        good = (low is None or rows >= low) and (high is None or rows <= high)
        wanted = " and ".join(
            f"{word} {bound:g}" for word, bound in (("at least", low), ("at most", high)) if bound is not None
        )
        yield result("rows", None, good, f"{rows} rows", f"{wanted or 'any number of'} rows", one.severity)
    if one.nulls is not None:
        cells = rows * read.columns
        share = read.nulls / cells if cells else 0.0
        yield _at_most("nulls", None, share, one.nulls, one.severity)
    if one.duplicates is not None:
        share = (rows - frame.n_unique()) / rows if rows and frame.width else 0.0
        yield _at_most("duplicates", None, share, one.duplicates, one.severity)
    if one.class_share is not None and read.target is not None:
        yield from _class_share(read.target, one.class_share, one.severity)


def _at_most(check: str, column: str | None, share: float, limit: float, severity: Severity) -> CheckResult:
    return result(check, column, share <= limit, f"{share:.2%}", f"at most {limit:.2%}", severity)


def _class_share(column: Inspected, least: float, severity: Severity) -> Iterator[CheckResult]:
    counts = column.values.drop_nulls().value_counts(sort=True)
    level, rows = counts.row(-1) if counts.height else (None, 0)
    share = rows / max(1, int(counts["count"].sum()))
    yield result(
        "class_share",
        column.name,
        share >= least,
        f"{share:.2%} are {column.word(level)}",
        f"at least {least:.2%}",
        severity,
    )
