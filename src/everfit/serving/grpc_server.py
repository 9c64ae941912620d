"""The Open Inference Protocol over gRPC, by the extra `grpc`: the same predictor, keys, limits and log as over HTTP.

It runs in a thread with an event loop of its own, so that the HTTP server's loop never waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from everfit.errors import EverfitError, MissingExtra, ProjectError
from everfit.project.sections.serving import Limits, Tls
from everfit.serving.access import Access
from everfit.serving.body import Headers
from everfit.serving.grpc_inference import PATHS, Inference
from everfit.serving.grpc_messages import PACKAGE, message
from everfit.serving.server import DRAIN_SECONDS, bind

WHERE = "serving.grpc.port"
SERVICE = f"{PACKAGE}.GRPCInferenceService"
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "RESOURCE_EXHAUSTED",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}
_logger = logging.getLogger("everfit.serving")


def check(address: tuple[str, int], workers: int) -> None:
    """Raises MissingExtra without the package, ProjectError for a port that several workers cannot share."""
    try:
        import grpc  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            "the inference protocol over gRPC needs the package grpcio",
            where="serving.grpc",
            fix='pip install "everfit[grpc]"',
        ) from error
    host, port = address
    if workers > 1 and port == 0:
        raise ProjectError("several workers need a port that is named, to meet there", where=WHERE, fix="name one")
    if workers > 1:  # they open the port together, so that it would be shared with a stranger too
        bind(host, port, protected=True, where=WHERE).close()


@contextmanager
def running(
    inference: Inference, address: tuple[str, int], limits: Limits, access: Access, tls: Tls | None, shared: bool
) -> Iterator[int]:
    """Serves while the block runs, then answers what is under way; the port is given. `shared` says that other workers
    of the server are at the same port. Raises ProjectError where the port cannot be had."""
    bound, stop = Future[int](), threading.Event()
    serving = _serve(inference, address, limits, access, tls, shared, bound, stop)
    thread = threading.Thread(target=asyncio.run, args=(serving,), name="grpc")
    thread.start()
    try:
        yield bound.result()
    finally:
        stop.set()
        thread.join()


async def _serve(
    inference: Inference,
    address: tuple[str, int],
    limits: Limits,
    access: Access,
    tls: Tls | None,
    shared: bool,
    bound: Future[int],
    stop: threading.Event,
) -> None:
    import grpc

    options = (
        ("grpc.max_receive_message_length", limits.body),
        ("grpc.so_reuseport", int(shared)),
        # Who sends nothing for long is asked whether he is there, and let go if not.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", int(limits.time.total_seconds() * 1000)),
    )
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=limits.concurrency)
    server.add_generic_rpc_handlers([_handlers(inference, access)])
    try:
        bound.set_result(_bind(server, address, tls))
    except Exception as error:  # noqa: BLE001  whatever it is, it belongs to who waits for the port
        bound.set_exception(error)
        return
    await server.start()
    await asyncio.to_thread(stop.wait)
    await server.stop(DRAIN_SECONDS)


def _bind(server: Any, address: tuple[str, int], tls: Tls | None) -> int:
    host, port = address
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found: int = server.add_insecure_port(name) if tls is None else server.add_secure_port(name, _credentials(tls))
    except RuntimeError as error:
        raise ProjectError(
            f"port {port} cannot be opened: {error}",
            where=WHERE,
            fix="stop the other program, or choose another port",
        ) from error
    return found


def _credentials(tls: Tls) -> Any:
    import grpc

    pair = (Path(tls.key).read_bytes(), Path(tls.certificate).read_bytes())
    authority = Path(tls.authority).read_bytes() if tls.authority else None
    return grpc.ssl_server_credentials([pair], root_certificates=authority, require_client_auth=authority is not None)


def _handlers(inference: Inference, access: Access) -> Any:
    import grpc

    made = {}
    for name in PATHS:
        answer = _guarded(name, getattr(inference, name), inference, access)
        reading = message(f"{name}Request").FromString
        writing = message(f"{name}Response").SerializeToString
        made[name] = grpc.unary_unary_rpc_method_handler(answer, reading, writing)
    return grpc.method_handlers_generic_handler(SERVICE, made)


def _guarded(
    name: str, method: Callable[[Any], Awaitable[Any]], inference: Inference, access: Access
) -> Callable[[Any, Any], Awaitable[Any]]:
    """The method for who is let in, with what goes wrong as a status."""

    async def answer(request: Any, context: Any) -> Any:
        refused = access.refusal(_headers(context.invocation_metadata()), PATHS[name](request))
        if refused is not None:
            await _abort(inference, context, refused.status, f"{refused.what}; {refused.fix}")
        try:
            return await method(request)
        except HTTPException as error:
            await _abort(inference, context, error.status_code, error.detail)
        except EverfitError as error:
            await _abort(inference, context, error.status, f"{error.what}; {error.fix}" if error.fix else error.what)
        except Exception as error:  # the caller is told no more than is good for him
            number = secrets.token_hex(8)
            _logger.error("unexpected error %s on %s", number, name, exc_info=error)
            await _abort(inference, context, 500, f"unexpected error {number}; look for this id in the server's log")

    return answer


async def _abort(inference: Inference, context: Any, status: int, text: str) -> None:
    import grpc

    inference.failed(status)
    await context.abort(grpc.StatusCode[_CODES.get(status, "INTERNAL")], text)


def _headers(metadata: Any) -> Headers:
    """A call's metadata as HTTP headers: both are names in lower case with values."""
    found: dict[bytes, bytes] = {}
    for name, value in metadata or ():
        found[name.encode()] = value if isinstance(value, bytes) else value.encode()
    return found
