"""Labels read from a SQLite file once and remembered, so that a process which looks again reads only what is new."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from threading import Lock

import polars as pl

from everfit.adapters.sqlite import Database

# Rows as the lines of one text, which polars reads many times faster than Python makes objects of them.
_LINES = """
SELECT count(*), max(place), group_concat(line, char(10)) FROM (
    SELECT place, json_quote(prediction_id) || char(9) || known_at || char(9) || coalesce(stored_at, known_at)
        || char(9) || place || char(9)
        || CASE typeof(value) WHEN 'text' THEN json_quote(value) ELSE printf('%!.17g', value) END AS line
    FROM labels WHERE place > ? AND coalesce(stored_at, known_at) >= ? ORDER BY place LIMIT ?
)
"""
_AT_ONCE = 200_000
_TIME = pl.Datetime("us", "UTC")
_LINE: dict[str, pl.DataType] = {
    "prediction_id": pl.String(),
    "known_at": pl.Int64(),
    "stored_at": pl.Int64(),
    "place": pl.Int64(),
    "value": pl.String(),
}
SCHEMA: dict[str, pl.DataType] = {**_LINE, "known_at": _TIME, "stored_at": _TIME, "number": pl.Float64()}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


class Remembered:
    """Every label, corrected ones too, in the order of arrival, as far back as it was last asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._seen, self._since, self._place, self._process = pl.DataFrame(schema=SCHEMA), EPOCH, 0, os.getpid()

    def since(self, since: datetime) -> pl.DataFrame:
        """Those stored since then."""
        with self._lock:
            self._read(since)
            return self._seen

    def _read(self, since: datetime) -> None:
        """Brings what is remembered up to date, and back to `since`; what came before that is forgotten."""
        if since < self._since or self._process != os.getpid():
            self._seen, self._place, self._process = pl.DataFrame(schema=SCHEMA), 0, os.getpid()
        elif since > self._since:
            self._seen = self._seen.filter(pl.col("stored_at") >= since)
        self._since = since
        parts = [self._seen]
        while True:
            count, last, text = self._database.row(_LINES, (self._place, (since - EPOCH) // TICK, _AT_ONCE))
            if not count:
                break
            parts.append(_table(text))
            self._place = last
        self._seen = pl.concat(parts)


def _table(text: str) -> pl.DataFrame:
    found = pl.read_csv(text.encode(), separator="\t", has_header=False, quote_char=None, schema=_LINE)
    is_text = found["value"].str.starts_with('"')
    return found.with_columns(
        _text(found["prediction_id"]),
        pl.from_epoch("known_at", "us").dt.replace_time_zone("UTC"),
        pl.from_epoch("stored_at", "us").dt.replace_time_zone("UTC"),
        _text(found["value"].set(~is_text, None)),
        found["value"].set(is_text, None).cast(pl.Float64).alias("number"),
    )


def _text(quoted: pl.Series) -> pl.Series:
    """JSON texts as what they say."""
    if quoted.str.contains("\\", literal=True).any():
        return quoted.str.json_decode(pl.String)
    return quoted.str.slice(1).str.strip_suffix('"')
