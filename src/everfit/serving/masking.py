"""Personal values of one row made harmless, exactly as `data.masking.mask` does it to a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from everfit.data.masking import REDACTED, Treatment, token
from everfit.errors import ProjectError, RequestError
from everfit.serving.rows import RawRow
from everfit.serving.values import word


def row_mask(personal: Mapping[str, Treatment], key: str | None) -> Callable[[RawRow], RawRow]:
    """The function that masks a row: personal columns dropped, hashed or redacted, missing values still missing. A row
    that holds none of them passes as it is. Raises ProjectError for a hash without a key.

    >>> row_mask({"name": "drop", "email": "redact"}, None)({"name": "Ann", "email": "a@b.c", "age": 30})
    {'email': '[redacted]', 'age': 30}
    """
    if "hash" in personal.values() and not key:
        raise ProjectError(
            "`hash` needs a secret key", where="data.personal", fix="write data.key: ${NAME} and set NAME"
        )

    def mask(row: RawRow) -> RawRow:
        if personal.keys().isdisjoint(row):
            return row
        return {
            name: _masked(name, value, personal.get(name), key or "")
            for name, value in row.items()
            if personal.get(name) != "drop"
        }

    return mask


def _masked(name: str, value: object, treatment: Treatment | None, key: str) -> object:
    if treatment is None or value is None:
        return value
    if treatment == "redact":
        return REDACTED
    try:
        text = word(value)
    except ValueError as error:
        raise RequestError(f"{name}: {error}", where=name, fix="send a text, a number or null") from error
    return None if text is None else token(text, key)
