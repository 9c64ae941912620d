"""What is known about a table: its columns, its checks' results, its version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# Dates travel as ISO 8601 text, as they do in JSON.
Value = str | int | float | bool | None
Row = Mapping[str, Value]


class Kind(StrEnum):
    """What a column means, which decides how it is read, checked and encoded."""

    IDENTIFIER = "identifier"
    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATE = "date"
    TEXT = "text"


class Task(StrEnum):
    """What is predicted from the table."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Severity(StrEnum):
    """`error` stops the run, `warning` is reported and lowers the quality score."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Column:
    """One column as found: shares are 0..1 of all rows; `levels` are the distinct values of categorical and boolean
    columns, most frequent first, and `counts` their rows; `minimum` and `maximum` belong to numeric ones; `blanks`
    counts the values that hold only white space and are read as missing; `whole` says that all numbers are whole;
    `format` is the strptime pattern of dates that are not written as ISO 8601 has it."""

    name: str
    kind: Kind
    null_share: float = 0.0
    blanks: int = 0
    distinct: int = 0
    minimum: float | None = None
    maximum: float | None = None
    levels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    whole: bool = False
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table in their order."""

    columns: tuple[Column, ...]

    def __getitem__(self, name: str) -> Column:
        """The column of that name; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in the table's order."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class ValueRule:
    """What a value of the column must be to be possible at all: within the closed range, among `allowed`. Missing
    values pass. A prediction request that breaks one is refused."""

    column: str
    min: float | None = None
    max: float | None = None
    allowed: tuple[str | int | float | bool, ...] | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check on one table: `observed` and `expected` are what a person reads, e.g. `11 rows` and `none`. `failed` is
    how many rows broke it, None where it is not about single rows."""

    check: str
    column: str | None
    passed: bool
    severity: Severity
    observed: str
    expected: str
    failed: int | None = None


@dataclass(frozen=True, slots=True)
class QualityReport:
    """All checks on a table. `score` is the share of checks passed, 0..1, errors counted twice."""

    rows: int
    results: tuple[CheckResult, ...]
    score: float

    @property
    def is_valid(self) -> bool:
        """Whether no check of severity `error` failed."""
        return not any(r.severity is Severity.ERROR for r in self.issues)

    @property
    def issues(self) -> tuple[CheckResult, ...]:
        """The checks that failed, of any severity."""
        return tuple(r for r in self.results if not r.passed)


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A table's identity by content: the same rows, columns and types give the same `fingerprint` wherever read."""

    fingerprint: str
    rows: int
    columns: int
    source: str
