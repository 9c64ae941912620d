"""How dates are written: ISO 8601 first, other patterns only where a whole column agrees on one."""

from __future__ import annotations

import polars as pl

from everfit.errors import SourceError

_TIMES = ("", " %H:%M:%S%.f", " %H:%M", " %H:%M:%S%.f%z", " %H:%M%z", " %I:%M:%S %p", " %I:%M %p")
_ISO = "%Y-%m-%d"
_CLEAR = (_ISO, "%Y/%m/%d", "%d.%m.%Y", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y")
_UNCLEAR = (("%d/%m/%Y", "%m/%d/%Y"), ("%d-%m-%Y", "%m-%d-%Y"))
# The least share of the distinct values that must read as dates; the others are then reported as unreadable.
ENOUGH = 0.95


def parse(values: pl.Series, pattern: str | None = None) -> pl.Series:
    """Text to Datetime("us") in UTC, null where it reads neither as ISO 8601 nor by `pattern` (a strptime date part,
    to which a time of day may be added). A time without an offset is taken as UTC.

    >>> parse(pl.Series(["2024-01-31", "2024-01-31T12:00:00+02:00", "soon"])).dt.to_string("%d %H:%M").to_list()
    ['31 00:00', '31 10:00', None]
    """
    text = (
        values.str.strip_chars()
        .str.replace(r"^(\d{4}-\d{1,2}-\d{1,2})[Tt](\d)", "$1 $2")
        .str.replace(r"(\d)[Zz]$", "$1+00:00")
        .str.replace(r"(:\d{2}(?:\.\d+)?) ?([+-]\d{2})$", "$1${2}:00")
    )
    result = pl.Series(values.name, [None], dtype=pl.Datetime("us")).new_from_index(0, len(values))
    for date in dict.fromkeys((pattern or _ISO, _ISO)):
        for time in _TIMES:
            if result.null_count() == text.null_count():
                return result
            result = result.fill_null(_strptime(text, date + time))
    return result


def _strptime(text: pl.Series, pattern: str) -> pl.Series:
    parsed = text.str.to_datetime(pattern, time_unit="us", strict=False)
    return naive(parsed)


def naive(values: pl.Series) -> pl.Series:
    """Dates and datetimes of any unit and zone as Datetime("us") in UTC, without a zone.

    >>> from datetime import date
    >>> naive(pl.Series([date(2024, 1, 31)])).dtype
    Datetime(time_unit='us', time_zone=None)
    """
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None:
        values = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return values.cast(pl.Datetime("us"))


def detect(distinct: pl.Series, column: str) -> str | None:
    """The pattern in which nearly all of the distinct texts are dates, None when they are not dates.

    Raises SourceError when day and month could be told either way, rather than guess.

    >>> detect(pl.Series(["31/01/2024", "01/02/2024"]), "day")
    '%d/%m/%Y'
    """
    head = distinct.head(200)
    if distinct.is_empty() or _share(head.str.contains(r"\d{4}") & head.str.contains(r"\d[-/., ]")) < ENOUGH:
        return None
    for pattern in _CLEAR:
        if _reads(head, pattern) and _reads(distinct, pattern):
            return pattern
    for pair in _UNCLEAR:
        fitting = [pattern for pattern in pair if _reads(head, pattern) and _reads(distinct, pattern)]
        if len(fitting) > 1:
            raise SourceError(
                f"dates such as {distinct[0]!r} could have the day or the month first",
                where=f"column {column!r}",
                fix=f"write them as 2024-01-31, or set data.columns: {{{column}: text}} if it is no date",
            )
        if fitting:
            return fitting[0]
    return None


def _reads(distinct: pl.Series, pattern: str) -> bool:
    # Few values must all be dates: one odd value among them makes the column something else.
    share = _share(parse(distinct, pattern).is_not_null())
    return share == 1 or (len(distinct) > 20 and share >= ENOUGH)


def _share(mask: pl.Series) -> float:
    return float(mask.sum()) / len(mask)
