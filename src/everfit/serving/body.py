"""A request's body to checked JSON, within limits that hold while it still arrives."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress

import msgspec
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from everfit.errors import RequestError, TooLarge
from everfit.project.sections.serving import Limits

_decode = msgspec.json.Decoder().decode
# What nearly every body of many rows is: by its type no deeper nested than three.
_decode_flat = msgspec.json.Decoder(dict[str, list[dict[str, bool | int | float | str | None]]]).decode
FLAT = 3

_ROWS = re.compile(rb'\s*\{\s*"rows"\s*:')

# The last of several headers of one name counts.
Headers = Mapping[bytes, bytes]


def check_json(headers: Headers) -> None:
    """Raises HTTPException 415 for a body that does not say to be plain JSON."""
    if not is_json(headers):
        raise HTTPException(415, "the body must be plain JSON; send the header `Content-Type: application/json`")


def may_be_many(body: bytes) -> bool:
    """Whether the body seems to hold several rows, by its first bytes.

    >>> may_be_many(b' {"rows": []}'), may_be_many(b'{"tenure": 5}')
    (True, False)
    """
    return _ROWS.match(body) is not None


def is_json(headers: Headers) -> bool:
    """Whether the body says to be plain JSON."""
    kind = headers.get(b"content-type", b"")
    return b"content-encoding" not in headers and (
        kind == b"application/json" or kind.partition(b";")[0].strip().lower() == b"application/json"
    )


async def read_body(receive: Receive, headers: Headers, limits: Limits) -> bytes:
    """The whole body. TooLarge when it is longer than the limit, HTTPException 408 when it does not arrive in time,
    ClientDisconnect when the caller hangs up."""
    # What the header claims only serves to refuse early; what arrives is what counts.
    limit, seconds = limits.body, limits.time.total_seconds()
    claimed = headers.get(b"content-length", b"")
    if claimed.isdigit() and int(claimed[:20]) > limit:
        raise _too_long(limit)
    message = await receive()
    body: bytes = _part(message)
    if message.get("more_body", False):
        try:
            async with asyncio.timeout(seconds):
                body = await _rest(receive, body, limit)
        except TimeoutError:
            raise HTTPException(408, f"the body did not arrive within {seconds:g} seconds") from None
    if len(body) > limit:
        raise _too_long(limit)
    return body


async def _rest(receive: Receive, first: bytes, limit: int) -> bytes:
    chunks, size, more = [first], len(first), True
    while more and size <= limit:
        message = await receive()
        chunks.append(_part(message))
        size += len(chunks[-1])
        more = message.get("more_body", False)
    return b"".join(chunks)


def _part(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    found: bytes = message.get("body", b"")
    return found


def _too_long(limit: int) -> TooLarge:
    return TooLarge(
        f"the body is longer than {limit} bytes", where="body", fix="send fewer rows, or raise `serving.limits.body`"
    )


def decode_json(body: bytes, limits: Limits) -> object:
    """Bytes to a JSON value, no deeper nested than `limits.depth`.

    >>> decode_json(b'{"tenure": 5}', Limits())
    {'tenure': 5}
    """
    # Counting brackets is quicker than walking, and nothing is nested deeper than it has brackets.
    may_be_deep = body.count(b"{") + body.count(b"[") > limits.depth
    if may_be_deep and limits.depth >= FLAT:
        with suppress(ValueError):
            return _decode_flat(body)
    try:
        value = _json(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(
            f"the body is not JSON: {error}",
            where="body",
            fix="send one JSON object; NaN and Infinity are not JSON, a missing value is null",
        ) from error
    if may_be_deep and _is_deeper(value, limits.depth):
        raise TooLarge(
            f"the JSON is nested deeper than {limits.depth}", where="body", fix="send rows as flat JSON objects"
        )
    return value


def _json(body: bytes) -> object:
    try:
        return _decode(body)
    except ValueError:  # also of numbers beyond all bounds, of which the column's own reader knows what to say
        return from_json(body, allow_inf_nan=False)


def _is_deeper(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def many(value: object, name: str, limits: Limits) -> tuple[list[Mapping[str, object]], bool]:
    """One object, or `{name: [objects]}`: the objects, and whether there was one alone.

    >>> many({"rows": [{"a": 1}, {"a": 2}]}, "rows", Limits())
    ([{'a': 1}, {'a': 2}], False)
    >>> many({"a": 1}, "rows", Limits())
    ([{'a': 1}], True)
    """
    if not isinstance(value, dict):
        raise _not_objects(name)
    listed = value.get(name)
    if len(value) != 1 or not isinstance(listed, list):
        return [value], True
    if not listed or not all(isinstance(each, dict) for each in listed):
        raise _not_objects(name)
    check_rows(len(listed), name, limits)
    return listed, False


def check_rows(count: int, name: str, limits: Limits) -> None:
    """Raises TooLarge beyond the limit."""
    if count > limits.rows:
        raise TooLarge(
            f"{count} {name} in one request; at most {limits.rows} are allowed",
            where="body",
            fix="send several requests, or raise `serving.limits.rows`",
        )


def _not_objects(name: str) -> RequestError:
    return RequestError(
        f'the body must be one JSON object, or {{"{name}": [objects, at least one]}}',
        where="body",
        fix="see /docs for an example that works",
    )
