"""What stands around every route: who may ask, what every answer carries, and what becomes of an unexpected error."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store", "referrer-policy": "no-referrer"}
_logger = logging.getLogger("everfit.serving")


def problem(status: int, error: str, fix: str = "", where: str = "") -> JSONResponse:
    """The one shape of everything that went wrong."""
    return JSONResponse({"error": error, "fix": fix, "where": where}, status)


class Guard:
    """ASGI middleware. Requests for another host are refused, so that a web page cannot reach a local server under a
    name of its own (DNS rebinding). An unexpected exception becomes a 500 whose id is in the server's log."""

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if refused := self._refusal(scope):
            await refused(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            number = secrets.token_hex(8)
            _logger.exception("unexpected error %s on %s %s", number, scope["method"], scope["path"])
            if begun:
                raise
            answer = problem(500, f"unexpected error {number}", "look for this id in the server's log", scope["path"])
            await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        host = Headers(scope=scope).get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self._hosts is None or name.lower() in self._hosts:
            return None
        return problem(421, f"this server does not answer for the host {host[:80]!r}", "use 127.0.0.1 or localhost")
