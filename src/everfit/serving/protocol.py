"""uvicorn's HTTP protocol with two additions: the quick way for predictions, and an end to those who keep it waiting.

A request that the quick way takes needs no task, no ASGI messages and one write; every other request, and whatever
turns out not to be quick, goes uvicorn's own way to the same application.
"""

from __future__ import annotations

from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from everfit.serving.front import Front, problem, told

_HEAD = b"content-type: application/json\r\nx-content-type-options: nosniff\r\ncontent-length: "


class _Nobody:
    """Stands where somebody would wait for the next message."""

    def set(self) -> None:
        """Nobody waits."""


_NOBODY = _Nobody()


class _Exchange:
    """A request on the quick way, in the place where uvicorn looks for one of its own. It refers to nothing that
    refers to it: a cycle a request is work for the collector."""

    message_event = _NOBODY

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.response_started = True
        self.response_complete = False
        self.disconnected = False  # uvicorn says so; nobody asks
        self.body = b""


class Protocol(HttpToolsProtocol):
    """One connection."""

    front: ClassVar[Front]
    _given: ClassVar[list[tuple[bytes, bytes]] | None] = None
    _lines: ClassVar[bytes] = b""
    began: float | None = None
    _taken: _Exchange | None = None
    _has_headers = False

    def connection_made(self, transport: Any) -> None:
        """A caller that says nothing is one that begins and does not end."""
        super().connection_made(transport)
        self.began = self.loop.time()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self.began, self._has_headers = self.loop.time(), False

    def on_headers_complete(self) -> None:
        """Takes the request if it may be quick and nothing of this connection is under way."""
        cycle: Any = self.cycle
        idle = cycle is None or cycle.response_complete
        if idle and self.front.may_be_quick(self.url) and self.parser.get_method() == b"POST" and self._is_plain():
            self._taken = _Exchange(self.parser.should_keep_alive())
        else:
            self._taken, self._has_headers = None, True
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        taken = self._taken
        if taken is None:
            super().on_body(body)
            return
        taken.body += body
        if len(taken.body) > self.front.limits.body:
            self._give_back(taken)

    def on_message_complete(self) -> None:
        """Answers, or gives the request back."""
        self.began = None
        taken = self._taken
        if taken is not None:
            self._taken = None
            if self.front.answer(self.loop, self.headers, taken.body, lambda *found: self._respond(taken, *found)):
                self.cycle = taken  # type: ignore[assignment]  # what uvicorn asks of it, it has
                self._unset_keepalive_if_required()
                return
            self._give_back(taken)
        super().on_message_complete()

    def expire(self, now: float) -> None:
        """Ends the connection when a request has been arriving, or an answer has not been taken, for too long."""
        seconds = self.front.limits.time.total_seconds()
        if self.began is None or now - self.began < seconds:
            return
        cycle: Any = self.cycle if self._has_headers else None
        if self.transport.is_closing():
            self.transport.abort()
        elif cycle is None or not cycle.response_started:
            late = problem(408, f"the request did not arrive within {seconds:g} seconds")
            self._write(408, bytes(late.body))
        elif cycle.response_complete:  # it was told, and goes on sending
            self.transport.close()

    def _usual(self) -> bytes:
        """The server's own headers, which change once a second."""
        given = self.server_state.default_headers
        cls = type(self)
        if cls._given is not given:
            cls._given, cls._lines = given, b"".join([b"%b: %b\r\n" % header for header in given])
        return cls._lines

    def _is_plain(self) -> bool:
        return not self.expect_100_continue and not self.parser.should_upgrade()

    def _give_back(self, taken: _Exchange) -> None:
        self._taken, self._has_headers = None, True
        super().on_headers_complete()
        if taken.body:
            super().on_body(taken.body)

    def _respond(self, taken: _Exchange, body: bytes | None, error: Exception | None) -> None:
        taken.response_complete = True
        if not self.transport.is_closing():
            if body is not None:
                self._write(200, body, taken.keep_alive)
            else:
                refused = told(error or RuntimeError("no answer"), "/predict")
                self._write(refused.status_code, bytes(refused.body), taken.keep_alive)
        self.on_response_complete()

    def _write(self, status: int, body: bytes, keep_alive: bool = False) -> None:
        end = b"\r\n\r\n" if keep_alive else b"\r\nconnection: close\r\n\r\n"
        self.transport.write(b"%b%b%b%d%b%b" % (STATUS_LINE[status], self._usual(), _HEAD, len(body), end, body))
        if not keep_alive:
            self.transport.close()
