"""Raw rows of a request to the arrays that features are computed from, or every reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.errors import RequestError
from everfit.records.table import Column, Kind, Schema, ValueRule
from everfit.serving.values import Read, Reader, reader, show, word

# A JSON object as it came: nothing is known yet about its values.
RawRow = Mapping[str, object]
Columns = dict[str, NDArray[Any]]

_DTYPES = {Kind.NUMERIC: "float64", Kind.BOOLEAN: "float64", Kind.DATE: "datetime64[us]"}
_SHOWN = 20


def parse(row: RawRow, schema: Schema, required: Sequence[str], checks: Sequence[ValueRule] = ()) -> Columns:
    """One row as arrays of shape (1,); see `RowParser`, which is made once for many rows.

    >>> schema = Schema((Column("tenure", Kind.NUMERIC), Column("plan", Kind.CATEGORICAL)))
    >>> parse({"tenure": "5", "plan": "basic"}, schema, ["tenure"])
    {'tenure': array([5.])}
    >>> parse({"tenur": 5}, schema, ["tenure"])
    Traceback (most recent call last):
    everfit.errors.RequestError: tenur, tenure: tenur: unknown column, did you mean 'tenure'?; tenure: is absent
      fix: send every column that the model reads, with a value that is possible; a missing value is null
    """
    return RowParser(schema, required, checks).columns([row])


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one column is read, and what its values may be: within `low` and `high`, one of `allowed`."""

    name: str
    read: Reader
    dtype: str
    low: float = -np.inf
    high: float = np.inf
    allowed: frozenset[Read] | None = None
    hint: str = ""

    def value(self, raw: object) -> Read:
        """The value as read. Raises ValueError when it is unreadable or impossible."""
        value = self.read(raw)
        outside = isinstance(value, float) and (value < self.low or value > self.high)
        if outside or (self.allowed is not None and value not in self.allowed and not _is_missing(value)):
            raise ValueError(self.refusal(raw))
        return value

    def impossible(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """The same for a column read elsewhere: where it is impossible, shape (rows,)."""
        found = np.zeros(len(values), dtype=bool)
        if values.dtype == np.float64:
            found |= (values < self.low) | (values > self.high)
        if self.allowed is not None:
            listed = values.tolist()
            odd = {value for value in set(listed) - self.allowed if not _is_missing(value)}
            found |= [value in odd for value in listed] if odd else False
        return found

    def refusal(self, raw: object) -> str:
        """What to say of an impossible value."""
        return f"{show(raw)} is impossible; allowed: {self.hint}"


def _is_missing(value: Read) -> bool:
    return value is None or value != value


class RowParser:
    """Reads rows of one schema as `data.schema.conform` would read them in a table.

    `required` columns must be there, null where the value is missing; other columns of the schema may be and are not
    read, but by `checks`, which name the values that are possible at all. Safe for use by many threads.
    """

    def __init__(self, schema: Schema, required: Sequence[str], checks: Sequence[ValueRule] = ()) -> None:
        rules = {rule.column: rule for rule in checks}
        self._known = frozenset(schema.names)
        self._required = frozenset(required)
        self._plans = tuple(_plan(schema[name], rules.get(name)) for name in required)
        self._checked = {
            name: _plan(schema[name], rule) for name, rule in rules.items() if name in self._known - self._required
        }
        self._read = (*required, *self._checked)

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that each row must hold."""
        return tuple(plan.name for plan in self._plans)

    @property
    def others(self) -> frozenset[str]:
        """The columns that a row may hold beside them."""
        return self._known - self._required

    @property
    def checked(self) -> frozenset[str]:
        """The columns that are not read but whose values may not be anything."""
        return frozenset(self._checked)

    def known(self, row: RawRow) -> RawRow:
        """The row without the columns that are neither read nor checked."""
        return {name: row[name] for name in self._read if name in row}

    def plan(self, name: str) -> _Plan:
        """How the required column is read."""
        return next(plan for plan in self._plans if plan.name == name)

    def check_others(self, row: RawRow) -> None:
        """Looks at what a row holds beside the required columns. Raises RequestError."""
        problems = _Problems(alone=True)
        self._check_others(row, 0, problems)
        problems.stop()

    def columns(self, rows: Sequence[RawRow]) -> Columns:
        """The required columns as arrays of shape (rows,), numeric and boolean float64, dates datetime64[us], others
        object. Raises RequestError with all problems of all rows."""
        problems = _Problems(alone=len(rows) == 1)
        for place, row in enumerate(rows):
            self._check_others(row, place, problems)
        found = {plan.name: (plan.dtype, _read(plan, rows, problems)) for plan in self._plans}
        problems.stop()
        return {name: np.array(values, dtype) for name, (dtype, values) in found.items()}

    def check(self, columns: Columns) -> None:
        """Holds columns that were read elsewhere, in the same form, against the checks. Raises RequestError."""
        problems = _Problems(alone=False)
        for plan in self._plans:
            for place in np.flatnonzero(plan.impossible(columns[plan.name])):
                problems.add(int(place), plan.name, plan.refusal(columns[plan.name].item(place)))
        problems.stop()

    def _check_others(self, row: RawRow, place: int, problems: _Problems) -> None:
        for name in row.keys() - self._required:
            if name not in self._known:
                # What is close but already sent under its own name was not meant.
                close = get_close_matches(str(name), self._known - row.keys(), 1)
                problems.add(place, name, f"unknown column{f', did you mean {close[0]!r}?' if close else ''}")
            elif name in self._checked or not isinstance(row[name], (str, int, float, bool, type(None))):
                _try(name, self._checked.get(name, _ANY), row[name], place, problems)


def _plan(column: Column, rule: ValueRule | None) -> _Plan:
    read, dtype = reader(column), _DTYPES.get(column.kind, "object")
    if rule is None:
        return _Plan(column.name, read, dtype)
    low, high = -np.inf if rule.min is None else rule.min, np.inf if rule.max is None else rule.max
    if rule.allowed is None:
        return _Plan(column.name, read, dtype, low, high, hint=_range(rule))
    hint = ", ".join(show(value) for value in rule.allowed[:_SHOWN])
    return _Plan(column.name, read, dtype, low, high, frozenset(map(read, rule.allowed)), hint)


def _range(rule: ValueRule) -> str:
    if rule.max is None:
        return f"{rule.min:g} and above"
    return f"{rule.max:g} and below" if rule.min is None else f"{rule.min:g} to {rule.max:g}"


_ANY = _Plan("", word, "object")


def _read(plan: _Plan, rows: Sequence[RawRow], problems: _Problems) -> list[Read]:
    name = plan.name
    values: list[Read] = []
    for place, row in enumerate(rows):
        if name in row:
            try:
                values.append(plan.value(row[name]))
            except ValueError as error:
                problems.add(place, name, str(error))
        else:
            problems.add(place, name, "is absent")
    return values


def _try(name: str, plan: _Plan, raw: object, place: int, problems: _Problems) -> None:
    try:
        plan.value(raw)
    except ValueError as error:
        problems.add(place, name, str(error))


class _Problems:
    """All that is wrong with a request, each problem with its place."""

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone
        self._found: list[tuple[int, str, str]] = []

    def add(self, place: int, column: str, what: str) -> None:
        self._found.append((place, column, what))

    def stop(self) -> None:
        """Raises RequestError when anything was found: the first twenty problems, in the order of the rows."""
        if not self._found:
            return
        shown = sorted(self._found)[:_SHOWN]
        places = [column[:80] if self._alone else f"rows[{place}].{column[:80]}" for place, column, _ in shown]
        text = "; ".join(f"{where}: {what}" for where, (_, _, what) in zip(places, shown, strict=True))
        more = len(self._found) - len(shown)
        raise RequestError(
            text + (f"; and {more} more" if more else ""),
            where=", ".join(dict.fromkeys(places)),
            fix="send every column that the model reads, with a value that is possible; a missing value is null",
        )
