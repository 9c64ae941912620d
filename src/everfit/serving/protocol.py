"""uvicorn's HTTP protocol with two additions: the quick way for predictions, and an end to those who keep it waiting.

A request that the quick way takes needs no task, no ASGI messages and one write, and no parser where its head came
before; every other request, and whatever turns out not to be quick, goes uvicorn's own way to the same application.
"""

from __future__ import annotations

from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from everfit.serving.body import Headers
from everfit.serving.front import Front, problem, told
from everfit.serving.heads import Heads

_HEAD = b"content-type: application/json\r\nx-content-type-options: nosniff\r\ncontent-length: "


class _Nobody:
    """Stands where somebody would wait for the next message."""

    def set(self) -> None:
        """Nobody waits."""


_NOBODY = _Nobody()


class _Exchange:
    """A request on the quick way, in the place where uvicorn looks for one of its own; a connection has one at a time.
    It refers to nothing that refers to it: a cycle a request is work for the collector."""

    __slots__ = ("disconnected", "keep_alive", "response_complete", "response_started")
    message_event = _NOBODY

    def __init__(self) -> None:
        self.keep_alive = True
        self.response_started = self.response_complete = True
        self.disconnected = False  # uvicorn says so; nobody asks


class _Lines:
    """An answer's first lines up to its length, made anew when the server's own headers change: once a second."""

    def __init__(self) -> None:
        self._usual: list[tuple[bytes, bytes]] = []
        self._known: dict[int, bytes] = {}

    def of(self, status: int, usual: list[tuple[bytes, bytes]]) -> bytes:
        """Those of a status, with these headers."""
        if self._usual is not usual:
            self._usual, self._known = usual, {}
        if status not in self._known:
            self._known[status] = b"".join([STATUS_LINE[status], *[b"%b: %b\r\n" % header for header in usual], _HEAD])
        return self._known[status]


class Protocol(HttpToolsProtocol):
    """One connection."""

    front: ClassVar[Front]
    heads: ClassVar[Heads]
    _lines: ClassVar[_Lines] = _Lines()
    began: float | None = None
    _taken: bytes | None = None  # the body, so far, of a request that may be quick
    _has_headers = False
    _is_between = True  # of requests, as far as the parser knows
    _is_slow = False  # the quick way left it
    _whole = b""  # what came in one piece, where nothing came before it that is not answered
    _rests: float | None = None  # since when there is nothing to answer

    def connection_made(self, transport: Any) -> None:
        """A caller that says nothing is one that begins and does not end."""
        super().connection_made(transport)
        self._exchange = _Exchange()
        self.began = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """A part of a request, a request, or several."""
        self._rests = None
        if self._is_between and _is_idle(self.cycle):
            known = self.heads.split(data)
            if known is not None and self._is_answering(*known):
                return
            self._is_slow, self._whole = known is not None, data
        super().data_received(data)
        self._is_slow, self._whole = False, b""

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self.began, self._has_headers, self._is_between = self.loop.time(), False, False

    def on_headers_complete(self) -> None:
        """Takes the request if it may be quick and nothing of this connection is under way."""
        may_be_quick = self.front.may_be_quick(self.url) and not self._is_slow and _is_idle(self.cycle)
        is_plain = not self.expect_100_continue and not self.parser.should_upgrade()
        if may_be_quick and is_plain and self.parser.get_method() == b"POST":
            self._taken = b""
        else:
            self._taken, self._has_headers = None, True
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._taken is None:
            super().on_body(body)
            return
        self._taken += body
        if len(self._taken) > self.front.limits.body:
            self._give_back(self._taken)

    def on_message_complete(self) -> None:
        """Answers, or gives the request back."""
        self.began, self._is_between = None, not self.parser.should_upgrade()
        body, keep_alive = self._taken, self.parser.should_keep_alive()
        if body is not None:
            headers = dict(self.headers)
            if self._is_answering(headers, body, keep_alive):
                if keep_alive:
                    self.heads.learn(self._whole, headers, body)
                return
            self._give_back(body)
        super().on_message_complete()

    def expire(self, now: float) -> None:
        """Ends the connection when a request has been arriving, or an answer has not been taken, or nothing was asked,
        for too long."""
        if self._rests is not None and now - self._rests >= self.timeout_keep_alive:
            self.transport.close()
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

    def _is_answering(self, headers: Headers, body: bytes, keep_alive: bool = True) -> bool:
        if not self.front.answer(self.loop, headers, body, self._respond):
            return False
        exchange: Any = self._exchange  # what uvicorn asks of it, it has
        exchange.keep_alive, exchange.response_complete = keep_alive, False
        self._unset_keepalive_if_required()
        self.began, self.cycle, self._taken = None, exchange, None
        return True

    def _give_back(self, body: bytes) -> None:
        self._taken, self._has_headers = None, True
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def _respond(self, body: bytes | None, error: Exception | None) -> None:
        exchange = self._exchange
        exchange.response_complete = True
        if not self.transport.is_closing():
            if body is not None:
                self._write(200, body, exchange.keep_alive)
            else:
                refused = told(error or RuntimeError("no answer"), "/predict")
                self._write(refused.status_code, bytes(refused.body), exchange.keep_alive)
        if self.pipeline:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            self._rests = self.loop.time()  # in place of a timer for each answer

    def _write(self, status: int, body: bytes, keep_alive: bool = False) -> None:
        end = b"\r\n\r\n" if keep_alive else b"\r\nconnection: close\r\n\r\n"
        lines = self._lines.of(status, self.server_state.default_headers)
        self.transport.write(b"%b%d%b%b" % (lines, len(body), end, body))
        if not keep_alive:
            self.transport.close()


def _is_idle(cycle: Any) -> bool:
    return cycle is None or cycle.response_complete
