"""Guessing what a column means from its name and its values."""

from __future__ import annotations

import re

import polars as pl

from everfit.data import dates
from everfit.data.reading import ABSENT, ABSENT_NUMBER, FALSE_WORDS, TRUE_WORDS, numbers, text
from everfit.records.table import Kind

_PAIRS = [frozenset(pair) for pair in zip(TRUE_WORDS, FALSE_WORDS, strict=True)]
_ID_WORDS = frozenset({"id", "ids", "uuid", "guid", "key", "pk", "identifier", "index", "email"})
_ID_ENDINGS = frozenset({"number", "no", "nr", "num", "code", "phone", "hash", "token"})
_ID_JOINED = re.compile(r"(user|customer|client|account|order|row|session|device|person|patient|member|record)id$")

# A name that says "id" with at most this many values is a category: region_id, plan_id.
FEW = 50
# Columns with more distinct values than this are never categories.
MANY = 1000


def named_as_identifier(name: str) -> bool:
    """Whether a word of the name says that the column identifies something.

    >>> [named_as_identifier(name) for name in ("customerID", "user_id", "paid", "grid_width", "Unnamed: 0")]
    [True, True, False, False, True]
    """
    words = _words(name)
    return bool(_ID_WORDS & set(words)) or name.startswith("Unnamed:") or bool(_ID_JOINED.search("".join(words)))


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def guess(name: str, values: pl.Series, distinct: pl.Series) -> tuple[Kind, str | None]:
    """The kind, and the pattern of dates that are not ISO 8601. `values` are those not missing, `distinct` each of
    them once; both as text or as the numbers, booleans and dates of a typed file.

    >>> values = pl.Series(["yes", "no", "Yes"])
    >>> guess("churn", values, values.unique())[0].value
    'boolean'
    """
    if values.is_empty():
        return (Kind.NUMERIC if values.dtype.is_numeric() else Kind.CATEGORICAL), None
    if values.dtype == pl.Boolean or _is_pair(distinct):
        return Kind.BOOLEAN, None
    if values.dtype.is_numeric():
        return _number_kind(name, values, distinct, integers=values.dtype.is_integer()), None
    if values.dtype in (pl.Date, pl.Datetime):
        return Kind.DATE, None
    return _text_kind(name, values, distinct)


def date_pattern(name: str, distinct: pl.Series) -> str | None:
    """The pattern of a column that is settled to be dates; None for ISO 8601. Only here may 20240131 be a date.

    >>> date_pattern("day", pl.Series([20240131, 20240201]))
    '%Y%m%d'
    """
    if distinct.dtype.is_temporal() or distinct.is_empty():
        return None
    written = text(distinct)
    if written.str.contains(r"^\d{8}$").all():
        return "%Y%m%d"
    return dates.detect(written, name)


def _is_pair(distinct: pl.Series) -> bool:
    if len(distinct) > 12:
        return False
    if distinct.dtype.is_numeric():
        return set(distinct.to_list()) == {0, 1}
    if distinct.dtype != pl.String:
        return False
    words = {str(word).strip().lower() for word in distinct}
    return frozenset(words.difference(ABSENT)) in _PAIRS


def _number_kind(name: str, values: pl.Series, distinct: pl.Series, integers: bool) -> Kind:
    if not integers:
        return Kind.NUMERIC
    if named_as_identifier(name):
        return Kind.CATEGORICAL if len(distinct) <= min(FEW, len(values) / 2) else Kind.IDENTIFIER
    ends = _words(name)[-1:]
    all_differ = len(distinct) == len(values) >= 20
    return Kind.IDENTIFIER if all_differ and ends and ends[0] in _ID_ENDINGS else Kind.NUMERIC


def _text_kind(name: str, values: pl.Series, distinct: pl.Series) -> tuple[Kind, str | None]:
    stripped = distinct.str.strip_chars()
    given = stripped.filter(~stripped.str.to_lowercase().is_in(list(ABSENT_NUMBER)))
    if given.is_empty():
        return Kind.CATEGORICAL, None
    if _are_numbers(given):
        whole = bool(given.str.contains(r"^[+-]?\d+$").all())
        return _number_kind(name, values, distinct, integers=whole), None
    pattern = dates.detect(given, name)
    if pattern is not None:
        return Kind.DATE, (None if pattern == "%Y-%m-%d" else pattern)
    return _word_kind(name, values, distinct), None


def _are_numbers(distinct: pl.Series) -> bool:
    """All of them, or nearly all of many: then the few others are reported as unreadable by the checks."""
    codes = distinct.str.contains(r"^[+-]?0\d")
    if codes.any():  # 007 and 7 differ: a code, not a number
        return False
    share = float(numbers(distinct).is_not_null().sum()) / len(distinct)
    return share == 1 or (len(distinct) > 20 and share >= dates.ENOUGH)


def _word_kind(name: str, values: pl.Series, distinct: pl.Series) -> Kind:
    rows, different = len(values), len(distinct)
    share = different / rows
    spaced = float(distinct.str.contains(r"\S\s+\S").sum()) > 0.2 * different
    length = float(distinct.str.len_chars().sum()) / different
    if named_as_identifier(name) and (share >= 0.5 or different > FEW):
        return Kind.IDENTIFIER
    if different >= 20 and share >= 0.95 and not spaced and length <= 64:
        return Kind.IDENTIFIER
    prose = spaced and (length > 50 or (different > 20 and share > 0.5))
    if not prose and different <= max(FEW, min(MANY, 0.05 * rows)):
        return Kind.CATEGORICAL
    return Kind.TEXT
