"""How one value of each kind is read, the same for a CSV's text, a Parquet column and an already conformed one."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from everfit.data import dates
from everfit.errors import SourceError
from everfit.records.table import Kind

TRUE_WORDS = ("true", "yes", "y", "t", "1", "1.0")
FALSE_WORDS = ("false", "no", "n", "f", "0", "0.0")
# Texts that people write for "missing". They count only where the kind leaves no other meaning to them: a category may
# well be called "None".
ABSENT = ("", "na", "n/a", "#n/a", "nan", "null", "<na>")
ABSENT_NUMBER = (*ABSENT, "none", "nat", "-", "?", ".")
_WORDS = dict.fromkeys(TRUE_WORDS, True) | dict.fromkeys(FALSE_WORDS, False)
_EXACT = 2.0**53


@dataclass(frozen=True, slots=True)
class Reading:
    """A column read as its kind: `values` in the conformed type with missing as null, and `unreadable`, true where a
    value was there and could not be read."""

    values: pl.Series
    unreadable: pl.Series

    @property
    def failures(self) -> int:
        """How many values could not be read."""
        return int(self.unreadable.sum())

    @property
    def first(self) -> int:
        """The index of the first unreadable value, from 0; meaningful only when there are failures."""
        return self.unreadable.arg_max() or 0


def read(series: pl.Series, kind: Kind, pattern: str | None = None) -> Reading:
    """The column as `kind`; `pattern` is that of Column.format. Raises SourceError for nested and binary columns.

    >>> reading = read(pl.Series(["1.5", " ", "x"]), Kind.NUMERIC)
    >>> reading.values.to_list(), reading.failures, reading.first
    ([1.5, None, None], 1, 2)
    """
    series = flat(series)
    absent: tuple[str, ...]
    if kind is Kind.NUMERIC:
        values, absent = numbers(series), ABSENT_NUMBER
    elif kind is Kind.BOOLEAN:
        values, absent = booleans(series), ABSENT
    elif kind is Kind.DATE:
        values, absent = _dates(series, pattern), ABSENT_NUMBER
    else:
        values, absent = text(series), ("",)
    return Reading(values, _unreadable(series, values, absent))


def _unreadable(series: pl.Series, values: pl.Series, absent: tuple[str, ...]) -> pl.Series:
    if values.null_count() == series.null_count():  # what is null stays so: nothing is lost
        return pl.Series([False]).new_from_index(0, len(series))
    lost = values.is_null() & series.is_not_null()
    if series.dtype.is_float():
        lost &= ~series.is_nan().fill_null(False)
    if lost.any() and series.dtype == pl.String:
        lost &= ~series.str.strip_chars().str.to_lowercase().is_in(list(absent)).fill_null(False)
    return lost


def flat(series: pl.Series) -> pl.Series:
    """The column with dictionary encoding undone; SourceError when its cells are not single values.

    >>> flat(pl.Series(["a"], dtype=pl.Categorical)).dtype
    String
    """
    dtype = series.dtype
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        raise SourceError(
            f"holds cells of type {dtype}, not single values",
            where=f"column {series.name!r}",
            fix="write its parts as columns of their own, or leave the column out of the table",
        )
    if dtype == pl.Duration:
        return series.dt.total_microseconds() / 1e6
    if dtype in (pl.Categorical, pl.Enum, pl.Null, pl.Time):
        return series.cast(pl.String)
    return series


def numbers(series: pl.Series) -> pl.Series:
    """Float64 with null for missing, NaN and what is no number.

    >>> numbers(pl.Series(["1e3", " 7 ", "", "1,5"])).to_list()
    [1000.0, 7.0, None, None]
    """
    if series.dtype.is_temporal():
        return pl.Series(series.name, [None], dtype=pl.Float64).new_from_index(0, len(series))
    found = series.cast(pl.Float64, strict=False)
    if series.dtype == pl.String and found.null_count() > series.null_count():  # white space around some, perhaps
        found = series.str.strip_chars().cast(pl.Float64, strict=False)
    return found.fill_nan(None)


def booleans(series: pl.Series) -> pl.Series:
    """Boolean with null for what is none of true/false, yes/no, y/n, t/f and 1/0, in any case.

    >>> booleans(pl.Series(["Yes", "no", "perhaps"])).to_list()
    [True, False, None]
    """
    if series.dtype == pl.Boolean:
        return series
    if series.dtype.is_integer() or series.dtype.is_float():
        return (series == 1).set(((series != 0) & (series != 1)).fill_null(True), None)
    words = text(series).str.strip_chars().str.to_lowercase()
    return words.replace_strict(_WORDS, default=None, return_dtype=pl.Boolean)


def _dates(series: pl.Series, pattern: str | None) -> pl.Series:
    if series.dtype in (pl.Date, pl.Datetime):
        return dates.naive(series)
    return dates.parse(text(series), pattern)


def text(series: pl.Series) -> pl.Series:
    """The one text form of each value, null for blank: whole floats are written as integers, so that 1, 1.0 and "1"
    are the same category whichever file they came from.

    >>> text(pl.Series([1.0, 2.5, None])).to_list(), text(pl.Series([True])).to_list(), text(pl.Series([" "])).to_list()
    (['1', '2.5', None], ['true'], [None])
    """
    dtype = series.dtype
    if dtype == pl.String:
        # What sorts between these begins with what is no white space: the pattern is for the others, which are rare.
        if not ((series < "!") | (series > "~")).any():
            return series
        blank = series.str.contains(r"^\s*$")
        return series.set(blank, None) if blank.any() else series
    if dtype.is_float():
        return _float_text(series)
    if dtype == pl.Date:
        return series.dt.to_string("%Y-%m-%d")
    if dtype == pl.Datetime:
        return dates.naive(series).dt.to_string("%Y-%m-%dT%H:%M:%S%.f")
    return series.cast(pl.String)


def _float_text(series: pl.Series) -> pl.Series:
    values = series.cast(pl.Float64).fill_nan(None)
    whole = (values == values.round(0)) & (values.abs() < _EXACT)
    integers = values.set(~whole.fill_null(False), None).cast(pl.Int64).cast(pl.String)
    return integers.fill_null(values.cast(pl.String))
