"""The process that listens: uvicorn on a loopback address, started and drained by this module."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from everfit.errors import ProjectError
from everfit.project.sections.serving import Tls
from everfit.serving.heads import Heads
from everfit.serving.protocol import Protocol

DRAIN_SECONDS = 20
_TICKS = 10  # of a tenth of a second


def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    started: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """`serve_on` a loopback address. `port` 0 takes a free one. Raises ProjectError before anything starts when the
    address is not loopback or the port is taken."""
    serve_on(app, bind(host, port), started=started, stop=stop)


def serve_on(
    app: ASGIApp,
    listener: socket.socket,
    *,
    started: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
    tls: Tls | None = None,
) -> None:
    """Serves until SIGINT, SIGTERM or `stop`, then answers what is under way (for at most 20 s) and returns.

    `listener` is a socket that `bind` made; `started` is told its port once requests are accepted.
    """
    front = getattr(app, "front", None)
    config = uvicorn.Config(
        app,
        http="auto" if front is None else type("Connection", (Protocol,), {"front": front, "heads": Heads()}),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        ssl_ca_certs=tls.authority if tls else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls and tls.authority else ssl.CERT_NONE,
    )
    with listener:
        _Server(config, started, stop or threading.Event()).run(sockets=[listener])


def bind(host: str, port: int, protected: bool = False, where: str = "serving.port") -> socket.socket:
    """A listening socket on a loopback address, or on any one of a server that is `protected` by keys or certificates.
    Raises ProjectError when that cannot be."""
    address = _address(host, protected)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    # asyncio turns off Nagle's delay (40 ms an answer) only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((str(address), port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        raise ProjectError(
            f"port {port} is taken by another program" if taken else f"port {port} cannot be opened: {error.strerror}",
            where=where,
            fix="stop the other program, or choose another port; 0 takes a free one",
        ) from error
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _address(host: str, protected: bool) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if is_loopback(host) or (protected and _is_address(host)):
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    if not protected:
        raise ProjectError(
            f"{host} is not a loopback address, and nobody who asks has to show who he is",
            where="serving.host",
            fix="make a key with `everfit keys add NAME --role predict`, set `serving.tls.authority`, or use 127.0.0.1",
        )
    raise ProjectError(
        f"{host!r} is not an address", where="serving.host", fix="write an address such as 0.0.0.0, or localhost"
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Server(uvicorn.Server):
    """uvicorn that says when it accepts, stops on an event, and returns after a signal instead of raising it again."""

    def __init__(self, config: uvicorn.Config, started: Callable[[int], None] | None, stop: threading.Event) -> None:
        super().__init__(config)
        self._announce = started
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._announce is not None and sockets:
            self._announce(sockets[0].getsockname()[1])

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Protocol):
                    connection.expire(now)
        return await super().on_tick(counter) or self._stop.is_set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
