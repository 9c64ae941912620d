"""Raw columns straight to the numbers that a compiled model reads: what `typed_rows` does to a row, to many at once.

The plain forms take nanoseconds a value: numbers as numbers, yes and no, known levels as texts. A column that holds any
other form is read by the parser's own reader of the column, value by value.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.compiled.encoding import UNKNOWN, CompiledEncoder
from everfit.data.reading import FALSE_WORDS, TRUE_WORDS
from everfit.records.table import Kind, Schema, Value
from everfit.serving.rows import RowParser

_WORDS = [form for word in (*TRUE_WORDS, *FALSE_WORDS) for form in (word, word.capitalize(), word.upper())]
_FLAGS = (None, True, False, *_WORDS)
_NUMBERS = {int, float, type(None)}
_NAN = float("nan")

Floats = NDArray[np.float64]
Read = Callable[[object], Any]
Column = Sequence[Any]
# The values of a feature as they are logged; None where they are those that were sent.
Logged = Sequence[Value] | None


class TypedColumns:
    """Reads the columns of a model all of whose features are columns of the table. Safe for use by many threads."""

    def __init__(self, schema: Schema, encoder: CompiledEncoder, parser: RowParser) -> None:
        self.names, self._numbers = encoder.names, encoder.numbers
        plans = [parser.plan(name) for name in self.names]
        kinds = [schema[name].kind for name in self.names[: self._numbers]]
        plain = [kind is Kind.NUMERIC and plan.allowed is None for kind, plan in zip(kinds, plans, strict=False)]
        # Numbers between bounds are read all at once; yes and no, and numbers of a list, a column at a time.
        self._plain = [place for place, is_plain in enumerate(plain) if is_plain]
        others = [place for place, is_plain in enumerate(plain) if not is_plain]
        self._rest = [*others, *range(self._numbers, len(self.names))]
        found = [bounds(parser, self.names[place]) for place in self._plain]
        self._low, self._high = np.array(found, dtype=np.float64).reshape(-1, 2, 1).transpose(1, 0, 2)
        self._readers: list[Read] = [plan.value for plan in plans]
        self._flags = {place: Flags(self._readers[place]) for place in others}
        words = self._readers[self._numbers :]
        self._codes = [usual(read, codes) for read, codes in zip(words, encoder.codes, strict=True)]
        self._every = encoder.codes

    def read(self, given: Sequence[Column]) -> tuple[Floats, list[Logged]]:
        """A column for each of `names` to the raw numbers, (inputs, rows), and to what is logged of each. Raises
        ValueError for a value that is unreadable or impossible."""
        if not given:
            raise ValueError("there is no column to read")
        raw = np.empty((len(self.names), len(given[0])))
        logged: list[Logged] = [None] * len(self.names)
        if self._plain:
            self._read_plain(given, raw, logged)
        if self._rest:
            raw[self._rest] = _floats([*self._read_flags(given, logged), *self._read_words(given, logged)])
        return raw, logged

    def _read_plain(self, given: Sequence[Column], raw: Floats, logged: list[Logged]) -> None:
        columns = [given[place] for place in self._plain]
        types = set(map(type, chain.from_iterable(columns)))
        if types <= _NUMBERS:
            missing = type(None) in types
            found = _floats([_filled(column) for column in columns] if missing else columns)
            outside = (found < self._low) | (found > self._high)
            # An infinity is outside, and NaN is no form of a missing value that a caller may send.
            sent = sum([column.count(None) for column in columns]) if missing else 0
            if not outside.any() and np.count_nonzero(np.isnan(found)) == sent:
                raw[self._plain] = found
                return
        for place in self._plain:
            values = list(map(self._readers[place], given[place]))
            raw[place], logged[place] = values, _listed(values)

    def _read_flags(self, given: Sequence[Column], logged: list[Logged]) -> list[list[float]]:
        found = []
        for place, flags in self._flags.items():
            try:
                values = list(map(flags.__getitem__, given[place]))
            except TypeError as error:
                raise ValueError("a value is no single one") from error
            found.append(values)
            logged[place] = _listed(values)
        return found

    def _read_words(self, given: Sequence[Column], logged: list[Logged]) -> list[list[float]]:
        codes = []
        for place, usual_codes in enumerate(self._codes, start=self._numbers):
            try:
                codes.append(list(map(usual_codes.__getitem__, given[place])))
            except (KeyError, TypeError):  # an unseen level, or one that is not written as text
                words = list(map(self._readers[place], given[place]))
                every = self._every[place - self._numbers]
                codes.append([every.get(word, UNKNOWN) for word in words])
                logged[place] = words
        return codes


class Flags(dict[object, float]):
    """What the usual forms of yes and no are read as. Those that the parser refuses are not among them, and others are
    read each time: a caller must not be able to fill the memory."""

    def __init__(self, read: Read) -> None:
        super().__init__({form: value for form in _FLAGS for value in _allowed(read, form)})
        self._read = read

    def __missing__(self, value: object) -> float:
        found: float = self._read(value)
        return found


def usual(read: Read, codes: Mapping[str, float]) -> dict[object, float]:
    """Known levels and the missing one to their codes, without those that the parser refuses."""
    found: dict[object, float] = {None: UNKNOWN}
    found.update(codes)
    return {word: code for word, code in found.items() for _ in _allowed(read, word)}


def bounds(parser: RowParser, name: str) -> tuple[float, float]:
    """Between which a value is possible; an infinity never is."""
    plan = parser.plan(name)
    return max(plan.low, -sys.float_info.max), min(plan.high, sys.float_info.max)


def _listed(values: list[float]) -> Sequence[Value]:
    """As JSON has them: null where a number is missing."""
    total = sum(values)
    return values if total == total else [None if value != value else value for value in values]


def _allowed(read: Read, value: object) -> list[Any]:
    """What the value is read as; nothing where it is refused."""
    try:
        return [read(value)]
    except ValueError:
        return []


def _filled(column: Column) -> Column:
    return [_NAN if value is None else value for value in column] if None in column else column


def _floats(columns: Sequence[Column]) -> Floats:
    """(columns, rows) numbers. Raises ValueError for a whole number beyond all floats."""
    try:
        data = _packer(len(columns) * len(columns[0])).pack(*chain.from_iterable(columns))
    except (struct.error, OverflowError) as error:
        raise ValueError("a number is too large") from error
    return np.frombuffer(data, dtype=np.float64).reshape(len(columns), -1)


@lru_cache(maxsize=64)
def _packer(count: int) -> struct.Struct:
    return struct.Struct(f"{count}d")
