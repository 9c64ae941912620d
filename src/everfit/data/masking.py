"""Personal data made harmless before anything is stored."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Literal

import polars as pl

from everfit.data.reading import flat, text
from everfit.errors import ProjectError

REDACTED = "[redacted]"
Treatment = Literal["drop", "hash", "redact"]


def mask(frame: pl.DataFrame, personal: Mapping[str, Treatment], key: str | None) -> pl.DataFrame:
    """The table with its personal columns dropped, hashed or redacted; missing values stay missing.

    A hash is HMAC-SHA-256 (RFC 2104) of the value's text under `key`, as 64 hexadecimal digits: the same value gives
    the same token in every table of that key, so joins still work, and without the key tokens cannot be guessed from
    a list of names. Raises ProjectError for a column that is not there (a misspelt name must not leak the column) and
    for a hash without a key.

    >>> table = pl.DataFrame({"email": ["a@b.c", "a@b.c"], "name": ["Ann", None]})
    >>> masked = mask(table, {"email": "hash", "name": "redact"}, key="secret")
    >>> masked["email"].n_unique(), masked["email"][0][:8], masked["name"].to_list()
    (1, '0ce3629b', ['[redacted]', None])
    """
    for name in personal:
        _demand_column(frame, name)
    kept = frame.drop([name for name, treatment in personal.items() if treatment == "drop"])
    hashed = [_hashed(frame[name], _secret(key)) for name, treatment in personal.items() if treatment == "hash"]
    redacted = [_redacted(frame[name]) for name, treatment in personal.items() if treatment == "redact"]
    return kept.with_columns(*hashed, *redacted)


def token(value: str, key: str) -> str:
    """The token of one value, for a request whose table was hashed.

    >>> token("a@b.c", "secret")[:8]
    '0ce3629b'
    """
    return hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()


def _secret(key: str | None) -> str:
    if not key:
        raise ProjectError(
            "`hash` needs a secret key", where="data.personal", fix="write data.key: ${NAME} and set NAME"
        )
    return key


def _hashed(series: pl.Series, key: str) -> pl.Series:
    words = text(flat(series))
    tokens = {word: token(word, key) for word in words.drop_nulls().unique().to_list()}
    return words.replace_strict(tokens, default=None, return_dtype=pl.String)


def _redacted(series: pl.Series) -> pl.Series:
    present = series.is_not_null()
    return present.replace_strict({True: REDACTED, False: None}, return_dtype=pl.String).alias(series.name)


def _demand_column(frame: pl.DataFrame, name: str) -> None:
    if name not in frame.columns:
        close = get_close_matches(name, frame.columns, 1)
        raise ProjectError(
            f"the table has no column {name!r}",
            where=f"data.personal.{name}",
            fix=f"did you mean {close[0]}?" if close else "name a column of the table",
        )
