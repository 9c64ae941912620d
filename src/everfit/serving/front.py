"""What stands before every route: who may ask, what every answer carries, what becomes of an error.

The routes that are asked thousands of times a second are answered from here, ahead of FastAPI, whose own routing takes
as long as four predictions; FastAPI answers all others.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from everfit.errors import EverfitError
from everfit.project.sections.serving import Limits
from everfit.serving.access import OPEN, Access, Refusal
from everfit.serving.body import Headers, read_body
from everfit.serving.quick import Quick
from everfit.serving.responding import Respond

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store", "referrer-policy": "no-referrer"}
_REMEMBERED = 256
_logger = logging.getLogger("everfit.serving")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of status 200: its body, what it is, and further headers."""

    body: bytes
    kind: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def __call__(self, send: Send) -> None:
        """Sends it."""
        headers = [
            (b"content-type", self.kind),
            (b"content-length", b"%d" % len(self.body)),
            (b"x-content-type-options", b"nosniff"),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


# The headers and the whole body of a POST, to the answer.
Endpoint = Callable[[Headers, bytes], Awaitable[Reply]]


def problem(status: int, error: str, fix: str = "", where: str = "") -> JSONResponse:
    """The one shape of everything that went wrong."""
    return JSONResponse({"error": error, "fix": fix, "where": where}, status)


def told(error: Exception, path: str) -> JSONResponse:
    """What a caller is told of an error that was raised on purpose; any other is raised again."""
    if isinstance(error, EverfitError):
        return problem(error.status, error.what, error.fix, error.where)
    if isinstance(error, HTTPException):
        known = error.status_code not in (404, 405)
        fix = "see /docs for an example that works" if known else "see /docs for what there is"
        answer = problem(error.status_code, error.detail, fix, path)
        answer.headers.update(error.headers or {})
        return answer
    if isinstance(error, ClientDisconnect):  # nobody reads this: the caller hung up while sending
        return problem(400, "the connection ended before the body did")
    raise error


class Front:
    """ASGI application around another. Requests for another host are refused, so that a web page cannot reach a local
    server under a name of its own (DNS rebinding). An unexpected exception becomes a 500 whose id is in the server's
    log. `hot` finds the endpoint of a POST's path that is answered from here, and `quick` answers what it can of
    /predict before there is a request at all. `failed` hears the status of every answer that is an error."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Collection[str] | None,
        hot: Callable[[str], Endpoint | None],
        limits: Limits,
        quick: Quick,
        access: Access,
        failed: Callable[[str], None] = lambda status: None,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._hot = hot
        self._limits = limits
        self._quick = quick
        self._access = access
        self._active = 0
        self._told = failed
        self._welcome: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: Headers = dict(scope["headers"])
        refused = self._refusal(headers, scope["path"])
        if refused is not None:
            await self._slowly(refused, scope, receive, send)
            return
        self._active += 1
        try:
            endpoint = self._hot(scope["path"]) if scope["method"] == "POST" else None
            if endpoint is None:
                await self._slowly(self._app, scope, receive, send)
            else:
                await self._hotly(endpoint, headers, scope, receive, send)
        finally:
            self._active -= 1

    async def _hotly(self, endpoint: Endpoint, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await endpoint(headers, await read_body(receive, headers, self._limits))
        except Exception as error:  # noqa: BLE001  whatever it is, the caller is told no more than is good for him
            await self._slowly(_failed(error, scope), scope, receive, send)
        else:
            await reply(send)

    @property
    def limits(self) -> Limits:
        """What a request may not pass."""
        return self._limits

    def may_be_quick(self, url: bytes) -> bool:
        """Whether a POST to the URL, as it came, may be answered by `answer`."""
        return url == b"/predict"

    def answer(self, loop: asyncio.AbstractEventLoop, headers: Headers, body: bytes, respond: Respond) -> bool:
        """As `Quick.answer`, for a caller who is let in."""
        plain = headers.get(b"content-type") == b"application/json" and b"content-encoding" not in headers
        return plain and self._refusal(headers, "/predict") is None and self._quick.answer(loop, body, respond)

    async def _slowly(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                if message["status"] >= 400:
                    self._told(str(message["status"]))
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await app(scope, receive, send_with_headers)
        except Exception as error:
            if begun:
                raise
            await _failed(error, scope)(scope, receive, send_with_headers)

    def _refusal(self, headers: Headers, path: str) -> JSONResponse | None:
        given = headers.get(b"host", b"")
        if self._hosts is not None and given not in self._welcome and not self._is_ours(given):
            host = given[:80].decode("latin-1")
            return problem(421, f"this server does not answer for the host {host!r}", "use a name from serving.hosts")
        refusal = self._access.refusal(headers, path)
        if refusal is None and self._active >= self._limits.concurrency and path not in OPEN:
            refusal = Refusal(429, "too many requests are under way", "ask again later", {"retry-after": "1"})
        if refusal is None:
            return None
        answer = problem(refusal.status, refusal.what, refusal.fix, path)
        answer.headers.update(refusal.headers)
        return answer

    def _is_ours(self, given: bytes) -> bool:
        host = given.decode("latin-1")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self._hosts is None or name.lower() not in self._hosts:
            return False
        if len(self._welcome) < _REMEMBERED:
            self._welcome.add(given)
        return True


def _failed(error: Exception, scope: Scope) -> JSONResponse:
    try:
        return told(error, scope["path"])
    except Exception as unexpected:
        number = secrets.token_hex(8)
        text = "unexpected error %s on %s %s"
        _logger.error(text, number, scope["method"], scope["path"], exc_info=unexpected)
        return problem(500, f"unexpected error {number}", "look for this id in the server's log", scope["path"])
