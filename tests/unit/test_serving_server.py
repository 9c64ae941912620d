"""The listening process: where it may listen, that it drains, and that one whole journey works over a real socket."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.services import certificates
from tests.unit.serving_models import GOOD, bundle, model, one

from everfit.errors import ProjectError
from everfit.project.sections.serving import Tls
from everfit.serving.app import create_app
from everfit.serving.log import JsonLinesLog
from everfit.serving.predictor import Predictor
from everfit.serving.server import bind, serve, serve_on

WHOLE = """
import sys
from pathlib import Path
from everfit.serving.app import create_app
from everfit.serving.log import JsonLinesLog
from everfit.serving.model import open_model
from everfit.serving.predictor import Predictor
from everfit.serving.server import serve
from everfit.records.release import Arm, RouteTable

predictor = Predictor(JsonLinesLog(Path(sys.argv[2])))
predictor.swap(RouteTable(1, (Arm("champion", 1, 1.0),)), {1: open_model(Path(sys.argv[1]))})
serve(create_app(predictor), "127.0.0.1", 0, started=lambda port: print(port, flush=True))
print("drained", flush=True)
"""


@contextmanager
def running(app: ASGIApp, tls: Tls | None = None) -> Iterator[tuple[int, threading.Event, Future[None]]]:
    stop, port = threading.Event(), Future[int]()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(serve_on, app, bind("127.0.0.1", 0), started=port.set_result, stop=stop, tls=tls)
        try:
            yield port.result(timeout=20), stop, done
        finally:
            stop.set()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org", ""])
def test_only_loopback_addresses_are_served(host: str) -> None:
    with pytest.raises(ProjectError, match="loopback") as caught:
        bind(host, 0)
    assert caught.value.where == "serving.host"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.9"])
def test_a_loopback_address_is_bound(host: str) -> None:
    with bind(host, 0) as listener:
        assert listener.getsockname()[1] > 0


def test_answers_are_not_held_back_by_the_network_stack() -> None:
    # asyncio sets TCP_NODELAY on what is accepted from a listener that names its protocol, and on no other.
    with bind("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_taken_port_is_said_before_anything_starts() -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ProjectError, match=f"port {port} is taken"):
            serve(create_app(Predictor(JsonLinesLog(Path("unused")))), "127.0.0.1", port)


def test_predictions_over_a_socket_are_in_the_log(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path)
    predictor = Predictor(log)
    predictor.swap(one(), {1: model()})
    with running(create_app(predictor)) as (port, _, _), httpx.Client(base_url=f"http://127.0.0.1:{port}") as asking:
        ids = [asking.post("/predict", json=GOOD).json()["id"] for _ in range(5)]
        assert asking.get("/ready").status_code == 200
    log.close()
    assert [record.id for record in log.read()] == ids


def test_a_request_under_way_is_answered_before_the_server_ends() -> None:
    entered, go_on = threading.Event(), threading.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        import asyncio

        if scope["type"] == "http":
            entered.set()
            await asyncio.to_thread(go_on.wait, 20)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"done"})

    with running(slow) as (port, stop, done), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(httpx.get, f"http://127.0.0.1:{port}/", timeout=20)
        assert entered.wait(20)
        stop.set()
        while not _is_closed(port):
            pass
        assert not done.done()
        go_on.set()
        assert answer.result().text == "done"
        done.result(timeout=20)


def _is_closed(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    source = str(Path(__file__).parents[2] / "src")
    command = [sys.executable, "-c", WHOLE, str(bundle()), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": source}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as started:
        yield started
        started.kill()


def _lines(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return process.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_lets_the_caller_go_on(process: subprocess.Popen[str], number: signal.Signals) -> None:
    port = int(_lines(process).readline())
    assert httpx.post(f"http://127.0.0.1:{port}/predict", json=GOOD).status_code == 200
    process.send_signal(number)
    assert _lines(process).read() == "drained\n"
    assert process.wait(20) == 0


def test_killing_the_server_loses_nothing_that_it_answered(process: subprocess.Popen[str], tmp_path: Path) -> None:
    port = int(_lines(process).readline())
    with httpx.Client() as asking:
        ids = [asking.post(f"http://127.0.0.1:{port}/predict", json=GOOD).json()["id"] for _ in range(50)]
        process.kill()
    assert [record.id for record in JsonLinesLog(tmp_path).read()] == ids


def test_https_is_spoken_to_who_shows_a_certificate(tmp_path: Path) -> None:
    server, caller = certificates.made(tmp_path)
    tls = Tls(certificate=str(server.certificate), key=str(server.key), authority=str(server.certificate))
    predictor = Predictor(JsonLinesLog(tmp_path / "log"))
    predictor.swap(one(), {1: model()})
    trusting = ssl.create_default_context(cafile=str(server.certificate))
    shown = ssl.create_default_context(cafile=str(server.certificate))
    shown.load_cert_chain(caller.certificate, caller.key)
    with running(create_app(predictor), tls) as (port, _, _):
        url = f"https://127.0.0.1:{port}/predict"
        assert httpx.post(url, json=GOOD, verify=shown).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.post(url, json=GOOD, verify=trusting)
