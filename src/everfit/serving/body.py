"""A request's body to checked JSON, within limits that hold while it still arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request

from everfit.errors import RequestError, TooLarge
from everfit.project.sections.serving import Limits

ARRIVAL_SECONDS = 30


async def read_json(request: Request, limits: Limits) -> object:
    """The body's JSON value. RequestError when it is none (NaN and Infinity are not JSON), TooLarge when it passes a
    limit, HTTPException 415 or 408 for another content type or a body that does not arrive."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or "content-encoding" in request.headers:
        raise HTTPException(415, "the body must be plain JSON; send the header `Content-Type: application/json`")
    try:
        async with asyncio.timeout(ARRIVAL_SECONDS):
            body = await _read(request, limits.body)
    except TimeoutError:
        raise HTTPException(408, f"the body did not arrive within {ARRIVAL_SECONDS} seconds") from None
    return decode_json(body, limits)


async def _read(request: Request, limit: int) -> bytes:
    # What the header claims only serves to refuse early; what arrives is what counts.
    claimed = request.headers.get("content-length", "")
    if claimed.isdecimal() and int(claimed[:20]) > limit:
        raise _too_long(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_long(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_long(limit: int) -> TooLarge:
    return TooLarge(
        f"the body is longer than {limit} bytes", where="body", fix="send fewer rows, or raise `serving.limits.body`"
    )


def decode_json(body: bytes, limits: Limits) -> object:
    """Bytes to a JSON value, no deeper nested than `limits.depth`.

    >>> decode_json(b'{"tenure": 5}', Limits())
    {'tenure': 5}
    """
    try:
        value: object = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise RequestError(
            f"the body is not JSON: {error}",
            where="body",
            fix="send one JSON object; NaN and Infinity are not JSON, a missing value is null",
        ) from error
    if _is_deeper(value, limits.depth):
        raise TooLarge(
            f"the JSON is nested deeper than {limits.depth}", where="body", fix="send rows as flat JSON objects"
        )
    return value


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


def many(value: object, name: str, limit: int) -> tuple[list[Mapping[str, object]], bool]:
    """One object, or `{name: [objects]}`: the objects, and whether there was one alone.

    >>> many({"rows": [{"a": 1}, {"a": 2}]}, "rows", 10)
    ([{'a': 1}, {'a': 2}], False)
    >>> many({"a": 1}, "rows", 10)
    ([{'a': 1}], True)
    """
    if not isinstance(value, dict):
        raise _not_objects(name)
    listed = value.get(name)
    if len(value) != 1 or not isinstance(listed, list):
        return [value], True
    if not listed or not all(isinstance(each, dict) for each in listed):
        raise _not_objects(name)
    if len(listed) > limit:
        raise TooLarge(
            f"{len(listed)} {name} in one request; at most {limit} are allowed",
            where="body",
            fix="send several requests, or raise `serving.limits.rows`",
        )
    return listed, False


def _not_objects(name: str) -> RequestError:
    return RequestError(
        f'the body must be one JSON object, or {{"{name}": [objects, at least one]}}',
        where="body",
        fix="see /docs for an example that works",
    )
