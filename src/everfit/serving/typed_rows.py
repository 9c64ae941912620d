"""A raw row straight to the numbers that a compiled model reads, without an array for each column.

The plain forms are read here in nanoseconds a value: numbers as numbers, yes and no, known levels as texts. Every other
form is read by the parser's own reader of the column, and a row that cannot be read at all is left to the parser, which
says what is wrong with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from operator import getitem as _item
from operator import itemgetter
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.compiled.encoding import UNKNOWN, CompiledEncoder
from everfit.records.prediction import as_logged
from everfit.records.table import Kind, Row, Schema, Value
from everfit.serving.rows import RawRow, RowParser
from everfit.serving.sent import Sent
from everfit.serving.typed_columns import Flags, Logged, TypedColumns, bounds, usual

# The raw numbers as bytes for the encoder's kernel, and the features as they are logged.
Typed = tuple[bytes, Row]
# Numbers, NaN where one is missing, and words, in groups.
Values = tuple[list[float], tuple[Any, ...]]
_PRESENT, _NUMBERS = {int, float}, {int, float, type(None)}
_ALL = (-sys.float_info.max, sys.float_info.max)
_MISSING = float("nan")
Read = Callable[[object], Any]
_SCALARS = {bool, int, float, str, type(None)}


class TypedRows:
    """Reads the rows of a model all of whose features are columns of the table; `features` are their names in the
    model's order. Safe for use by many threads."""

    def __init__(
        self,
        schema: Schema,
        features: Sequence[str],
        entity: str | None,
        encoder: CompiledEncoder,
        parser: RowParser,
    ) -> None:
        names, numbers = encoder.names, encoder.numbers
        self._count = len(names)
        self._numbers = numbers
        self._parser = parser
        self._entity: Any = None if entity in names or entity in parser.checked else entity
        self._take = _taker(names)
        self._readers = [_reader(schema[name].kind, parser, name) for name in names[:numbers]]
        self._bounds = [bounds(parser, name) for name in names[:numbers]]
        self._plain = [schema[name].kind is Kind.NUMERIC and parser.plan(name).allowed is None for name in names]
        self._words: list[Read] = [parser.plan(name).value for name in names[numbers:]]
        levels = zip(self._words, encoder.codes, strict=True)
        self._codes = [usual(read, codes) for read, codes in levels]
        self._every = encoder.codes
        self._columns = TypedColumns(schema, encoder, parser)
        self._pack = Struct(f"{self._count}d").pack
        self._names = tuple(features)
        self._arrange = _taker([names.index(name) for name in features])
        # One row is read in groups: plain numbers, all other numbers, words.
        plain = [place for place in range(numbers) if self._plain[place]]
        others = [place for place in range(numbers) if not self._plain[place]]
        self._order = [*plain, *others, *range(numbers, self._count)]
        self._plains = len(plain)
        self._groups = _taker([names[place] for place in self._order])
        self._ruled = [(i, *self._bounds[place]) for i, place in enumerate(plain) if self._bounds[place] != _ALL]
        self._flags = [Flags(parser.plan(names[place]).value) for place in others]
        self._encoded = _taker([self._order.index(place) for place in range(self._count)])
        self._shown = _taker([self._order.index(names.index(name)) for name in features])

    def read(self, row: RawRow, stored: bool = False) -> Typed:
        """Raises ValueError for a row that cannot be read, RequestError for one that holds, beside the columns that
        the model reads, what may not be there; a `stored` one may hold columns that the model does not know."""
        packed, values, _ = self.values(row, stored)
        return packed, self.features(values)

    def values(self, row: RawRow, stored: bool = False) -> tuple[bytes, Values, bool]:
        """As `read`, with what `features` makes features of, and whether each value is plain: what was sent, but for
        yes and no and for numbers that are one of a few."""
        is_plain = True
        try:
            given = self._groups(row)
            numbers = self._plain_numbers(given[: self._plains])
            numbers.extend(map(_item, self._flags, given[self._plains : self._numbers]))
            words = given[self._numbers :]
            packed = self._pack(*self._encoded((*numbers, *map(_item, self._codes, words))))
        except (KeyError, TypeError, OverflowError, StructError):
            numbers, words, codes = self._unusual(row)
            packed, is_plain = self._pack(*self._encoded((*numbers, *codes))), False
        if stored:
            if self._parser.checked:
                self._parser.check_others(self._parser.known(row))
        elif len(row) - (row.get(self._entity).__class__ is str) != self._count:
            self._parser.check_others(row)
        return packed, (numbers, words), is_plain

    def features(self, values: Values) -> Row:
        """One row's values by name, as they are logged."""
        return dict(zip(self._names, self._shown((*_logged(values[0]), *values[1])), strict=True))

    def columns(self, rows: Sequence[Values], is_plain: bool) -> dict[str, Sequence[Value] | None]:
        """Several rows' values as a batch of the log has them: None where they are what was sent."""
        first = self._plains if is_plain else 0
        columns: list[Sequence[Value] | None] = [None] * self._count
        columns[first : self._numbers] = map(_logged, zip(*[numbers[first:] for numbers, _ in rows], strict=True))
        if not is_plain:
            columns[self._numbers :] = zip(*[words for _, words in rows], strict=True)
        return dict(zip(self._names, self._shown(columns), strict=True))

    def _plain_numbers(self, given: tuple[Any, ...]) -> list[float]:
        """As they were sent, NaN where one is missing. Raises TypeError or OverflowError where one is not plain, or not
        possible."""
        kinds, sent = set(map(type, given)), given
        if not kinds <= _NUMBERS:
            raise TypeError("a value is no plain number")
        found = list(given)
        if not kinds <= _PRESENT:
            sent = tuple([value for value in given if value is not None])
            found = [_MISSING if value is None else value for value in given]
        total = sum(sent)
        if total - total != 0:
            raise OverflowError("a number is not finite, or the sum of all is not")
        for place, low, high in self._ruled:
            if given[place] is not None and not low <= given[place] <= high:
                raise TypeError("a number is impossible")
        return found

    def read_many(self, rows: Sequence[RawRow]) -> tuple[NDArray[np.float64], list[Row]]:
        """The same for many rows, a column at a time: the raw numbers, (rows, inputs), and each row's features. Raises
        ValueError and RequestError as `read` does."""
        try:
            given = list(zip(*map(self._take, rows), strict=True))
        except (KeyError, TypeError) as error:
            raise ValueError("a column is absent") from error
        raw, logged = self._columns.read(given)
        for row in rows:
            if len(row) - (row.get(self._entity).__class__ is str) != self._count:
                self._parser.check_others(row)
        values = [as_logged(values, sent) for values, sent in zip(logged, given, strict=True)]
        features: list[Row] = [
            dict(zip(self._names, row, strict=True)) for row in zip(*self._arrange(values), strict=True)
        ]
        return raw.T, features

    def read_columns(self, sent: Sent) -> tuple[NDArray[np.float64], dict[str, Logged]]:
        """The same for rows that came as columns; of a feature that is None the log has what was sent. Raises
        ValueError also where the other columns have to be looked at one by one."""
        try:
            given = [sent.columns[name] for name in self._columns.names]
        except KeyError as error:
            raise ValueError("a column is absent") from error
        if len(sent.columns) > self._count:
            self._check_others(sent)
        raw, logged = self._columns.read(given)
        return raw.T, dict(zip(self._names, self._arrange(logged), strict=True))

    def _check_others(self, sent: Sent) -> None:
        for name in sent.columns.keys() - set(self._columns.names):
            if name not in self._parser.others or name in self._parser.checked:
                raise ValueError("there may be something to say of a column")
            values = sent.columns[name]
            if not set(map(type, values)) <= _SCALARS or any(v.__class__ is float and v - v != 0 for v in values):
                raise ValueError("a value is no single one, or not finite")

    def _unusual(self, row: RawRow) -> tuple[list[float], tuple[str | None, ...], list[float]]:
        """A row with an unseen level, or with a value that is not plain, in groups."""
        try:
            given = self._take(row)
            numbers = [read(value) for read, value in zip(self._readers, given, strict=False)]
        except (KeyError, TypeError) as error:
            raise ValueError("a column is absent, or holds no single value") from error
        words = tuple([read(value) for read, value in zip(self._words, given[self._numbers :], strict=True)])
        numbers = [numbers[place] for place in self._order[: self._numbers]]
        return numbers, words, [codes.get(word, UNKNOWN) for codes, word in zip(self._every, words, strict=True)]


def _reader(kind: Kind, parser: RowParser, name: str) -> Read:
    plan = parser.plan(name)
    if kind is Kind.BOOLEAN:
        return Flags(plan.value).__getitem__
    if plan.allowed is not None:
        return plan.value
    (low, high), slow = bounds(parser, name), plan.value

    def number(value: Any) -> Any:
        if value is None:
            return _MISSING
        kind = value.__class__
        if kind is float and low <= value <= high:
            return value
        return float(value) if kind is int and low <= value <= high else slow(value)

    return number


def _logged(numbers: Iterable[float]) -> list[Value]:
    """As JSON has them: null where one is missing, whole ones as floats."""
    found: list[Value] = list(map(float, numbers))
    total = sum(found)  # type: ignore[arg-type]  # all are floats
    return [None if value != value else value for value in found] if total != total else found


def _taker(keys: Sequence[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """The values of those keys as a tuple, also where there is one key or none."""
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda mapping: tuple(mapping[key] for key in keys)
