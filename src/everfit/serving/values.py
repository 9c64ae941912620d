"""One value of a request as `data.schema.conform` reads it in a table, without a table.

The common forms are read by plain Python; what is rare goes through the data stage's own reading.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import polars as pl

from everfit.data.reading import FALSE_WORDS, TRUE_WORDS, read, text
from everfit.records.table import Column, Kind

# A float, a text or a date; NaN, None or NaT where it is missing.
Read = float | str | None | np.datetime64
Reader = Callable[[object], Read]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TIME = r"[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?"
_ISO = re.compile(rf"\d{{4}}-\d\d-\d\d({_TIME})?", re.ASCII)
_WORDS = {**dict.fromkeys(TRUE_WORDS, 1.0), **dict.fromkeys(FALSE_WORDS, 0.0)}
_EXACT = 2.0**53
_MISSING = math.nan
_NO_DATE = np.datetime64("NaT", "us")


def reader(column: Column) -> Reader:
    """The function that reads a value of the column; it raises ValueError, worded to follow the column's name.

    >>> read_charge = reader(Column("charge", Kind.NUMERIC))
    >>> read_charge("29.85"), read_charge(3), read_charge(" ")
    (29.85, 3.0, nan)
    """
    if column.kind is Kind.NUMERIC:
        return number
    if column.kind is Kind.BOOLEAN:
        return boolean
    if column.kind is Kind.DATE:
        return _date_reader(column.format)
    return word


def number(value: object) -> float:
    """A number or a text of one; NaN for a missing value."""
    if type(value) is float or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return _finite(value)
    if value is None:
        return _MISSING
    if isinstance(value, str):
        stripped = value.strip()
        if _NUMBER.fullmatch(stripped):
            return _finite(float(stripped))
        reading = read(pl.Series([value]), Kind.NUMERIC)
        if not reading.failures:
            return _MISSING if reading.values[0] is None else _finite(reading.values[0])
    raise ValueError(f"{show(value)} is not a number")


def _finite(value: float) -> float:
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError("is not a finite number")
    return result


def boolean(value: object) -> float:
    """1.0 or 0.0 for true/false, yes/no, y/n, t/f and 1/0, in any case; NaN for a missing value."""
    if value is None:
        return _MISSING
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return float(value)
    if isinstance(value, str):
        found = _WORDS.get(value.strip().lower())
        if found is not None:
            return found
        if not read(pl.Series([value]), Kind.BOOLEAN).failures:
            return _MISSING
    raise ValueError(f"{show(value)} is not yes or no")


def word(value: object) -> str | None:
    """The text form of a category, an identifier or a text; None for a missing value.

    >>> word("Month-to-month"), word(7), word(7.0), word(True), word(" ")
    ('Month-to-month', '7', '7', 'true', None)
    """
    if isinstance(value, str):
        return value if value.strip() else None
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float_word(_finite(value))
    raise ValueError(f"{show(value)} is not a text")


def _float_word(value: float) -> str:
    if value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return str(text(pl.Series([value]))[0])


def _date_reader(pattern: str | None) -> Reader:
    def date(value: object) -> np.datetime64:
        if value is None:
            return _NO_DATE
        if not isinstance(value, str):
            raise ValueError(f"{show(value)} is not a date; write it as text: 2024-01-31")
        found = _iso(value)
        if found is None:
            reading = read(pl.Series([value]), Kind.DATE, pattern)
            if reading.failures:
                raise ValueError(f"{show(value)} is not a date; write it as 2024-01-31")
            found = reading.values.to_numpy()[0].astype("datetime64[us]")
        return found

    return date


def _iso(value: str) -> np.datetime64 | None:
    """The date where it is written as most are; None where the data stage has to decide."""
    if not _ISO.fullmatch(value):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return np.datetime64(moment, "us")


def show(value: object) -> str:
    """The value for an error message, short.

    >>> show("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."
    """
    written = repr(value) if isinstance(value, (str, int, float, bool)) else f"a {_NOUNS.get(type(value), 'value')}"
    return written if len(written) <= 40 else written[:38] + "..."


_NOUNS: dict[type, str] = {dict: "JSON object", list: "JSON list"}
