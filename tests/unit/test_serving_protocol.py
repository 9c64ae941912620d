"""The quick way over a real socket: the same answers as the usual way, in order, and nobody is waited for too long."""

from __future__ import annotations

import gc
import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.serving_models import GOOD, MemoryLog, MemoryStore, bundle, model, one, without
from tests.unit.test_serving_app import MemoryLabels
from tests.unit.test_serving_server import running

from everfit.errors import StorageError
from everfit.project.sections.serving import Limits
from everfit.records.access import KeyEvent, Role
from everfit.serving import arms
from everfit.serving.access import Access
from everfit.serving.app import create_app
from everfit.serving.model import open_model
from everfit.serving.predictor import Predictor
from everfit.serving.protocol import Protocol


@dataclass
class Watched(MemoryLog):
    """A log that can be full."""

    error: Exception | None = field(default=None)

    def append(self, records: Any) -> None:
        if self.error is not None:
            raise self.error
        super().append(records)


@pytest.fixture
def log() -> Watched:
    return Watched()


@pytest.fixture
def predictor(log: Watched, monkeypatch: pytest.MonkeyPatch) -> Predictor:
    monkeypatch.setattr(arms.Snapshot, "is_quick", True)  # of a model small enough for a test
    made = Predictor(log, online=MemoryStore({"c-7": GOOD}))
    made.swap(one(3), {3: model()})
    return made


@pytest.fixture
def server(predictor: Predictor) -> Iterator[socket.socket]:
    with running(create_app(predictor)) as (port, _, _), connected(port) as connection:
        yield connection


def connected(port: int) -> closing[socket.socket]:
    return closing(socket.create_connection(("127.0.0.1", port), timeout=20))


def request(body: object, *headers: str, path: str = "/predict") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(content)}"]
    if not any(header.lower().startswith("content-type") for header in headers):
        lines.append("content-type: application/json")
    return "\r\n".join([*lines, *headers, "", ""]).encode() + content


def answer(connection: socket.socket) -> tuple[int, Any]:
    """The next answer of the connection."""
    file = connection.makefile("rb", buffering=0)
    status, length = int(file.readline().split()[1]), 0
    for line in iter(file.readline, b"\r\n"):
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    body = b""
    while len(body) < length:
        body += file.read(length - len(body)) or b""
    return status, json.loads(body)


def asked(connection: socket.socket, *given: Any) -> tuple[int, Any]:
    connection.sendall(request(*given))
    return answer(connection)


def test_a_row_is_answered_quickly_and_is_in_the_log(server: socket.socket, log: Watched) -> None:
    status, said = asked(server, GOOD)
    assert (status, said["customerID"], said["version"]) == (200, "c-7", 3)
    assert [record.id for record in log.records] == [said["id"]]
    assert log.records[0].input == GOOD


def test_a_connection_answers_request_after_request(server: socket.socket, log: Watched) -> None:
    ids = [asked(server, GOOD)[1]["id"] for _ in range(20)]
    assert [record.id for record in log.records] == ids


def test_requests_sent_at_once_are_answered_in_their_order(server: socket.socket) -> None:
    bodies = [{**GOOD, "customerID": f"c-{i}"} for i in range(5)]
    server.sendall(b"".join(request(body) for body in [*bodies[:3], {"rows": bodies[3:4]}, bodies[4]]))
    said = [answer(server)[1] for _ in range(5)]
    said[3] = said[3]["predictions"][0]
    assert [one["customerID"] for one in said] == [f"c-{i}" for i in range(5)]


def test_a_known_head_does_not_change_what_is_asked(server: socket.socket) -> None:
    bodies = [{**GOOD, "customerID": f"c-{i}"} for i in range(5)]
    assert [asked(server, body)[1]["customerID"] for body in bodies] == [f"c-{i}" for i in range(5)]


def test_after_a_known_head_the_rest_may_come_later_and_the_next_at_once(server: socket.socket) -> None:
    asked(server, GOOD)
    for place in (30, -5):
        server.sendall(request(GOOD)[:place])
        server.sendall(request(GOOD)[place:] + request(GOOD))
        assert [answer(server)[0] for _ in range(2)] == [200, 200]
    assert asked(server, GOOD)[0] == 200


def test_a_body_in_pieces_is_put_together(server: socket.socket) -> None:
    whole = request(GOOD)
    for place in range(0, len(whole), 40):
        server.sendall(whole[place : place + 40])
    assert answer(server)[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        {**GOOD, "tenure": -5},
        {**GOOD, "plan": "golden"},
        without(GOOD, "tenure"),
        {"customerID": "nobody"},
        {"rows": []},
        [1],
        b"{",
        b"",
        {"a": [[[[[[[[[[1]]]]]]]]]]},
    ],
)
def test_what_is_refused_is_refused_in_the_same_words_on_both_ways(server: socket.socket, body: object) -> None:
    quick = asked(server, body)
    usual = asked(server, body, "content-type: application/json; charset=utf-8")
    assert quick == usual
    assert quick[0] in (404, 413, 422)


def test_both_ways_give_the_same_answer(server: socket.socket) -> None:
    quick, usual = asked(server, GOOD)[1], asked(server, GOOD, "content-type: application/json; charset=utf-8")[1]
    assert quick | {"id": ""} == usual | {"id": ""}


def test_the_gates_stand_before_both_ways(server: socket.socket) -> None:
    evil = request(GOOD).replace(b"host: 127.0.0.1", b"host: evil.example")
    server.sendall(evil)
    assert answer(server)[0] == 421
    assert asked(server, GOOD, "content-type: text/plain")[0] == 415
    assert asked(server, GOOD, "content-encoding: gzip")[0] == 415


def test_a_body_beyond_the_limit_is_refused_while_it_arrives(server: socket.socket) -> None:
    head = request(GOOD, "transfer-encoding: chunked").replace(b"content-length", b"x-length").partition(b"\r\n\r\n")[0]
    server.sendall(head + b"\r\n\r\n" + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 40)
    assert answer(server)[0] == 413


def test_a_full_disk_is_a_503_on_both_ways(server: socket.socket, log: Watched, predictor: Predictor) -> None:
    log.error = StorageError("the prediction log cannot be written", fix="free space")
    quick, usual = asked(server, GOOD), asked(server, {"rows": [GOOD]})
    assert quick == usual
    assert quick[0] == 503
    assert b'predictions_total{arm="none",status="unlogged",version="none"} 2.0' in predictor.metrics.text()
    log.error = None
    assert asked(server, GOOD)[0] == 200


def test_who_wants_no_more_is_closed_after_the_answer(server: socket.socket) -> None:
    assert asked(server, GOOD, "connection: close")[0] == 200
    assert server.recv(1) == b""


def test_another_route_follows_on_the_same_connection(server: socket.socket) -> None:
    asked(server, GOOD)
    server.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    assert answer(server) == (200, {"status": "alive"})
    assert asked(server, GOOD)[0] == 200


@pytest.mark.parametrize(
    "part", [b"", b"POST /predict HTT", request(GOOD)[:-5], request({"rows": [GOOD]}, path="/feedback")[:-5]]
)
def test_who_dawdles_is_told_and_closed(predictor: Predictor, part: bytes) -> None:
    app = create_app(predictor, labels=MemoryLabels(), limits=Limits(time=timedelta(seconds=0.05)))
    with running(app) as (port, _, _), connected(port) as slow:
        slow.sendall(part)
        assert answer(slow)[0] == 408
        assert slow.recv(1) == b""


def test_who_asks_no_more_is_closed_in_the_end(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = property(lambda connection: 0.05, lambda connection, given: None)
    monkeypatch.setattr(Protocol, "timeout_keep_alive", seconds, raising=False)
    with running(create_app(predictor)) as (port, _, _), connected(port) as idle:
        assert asked(idle, GOOD)[0] == 200
        assert idle.recv(1) == b""


def test_a_key_that_is_taken_back_opens_nothing_by_a_head_that_is_known(predictor: Predictor) -> None:
    access, shown = Access(required=True), "authorization: Bearer k1"
    digest = hashlib.sha256(b"k1").hexdigest()
    access.tell({"ann": KeyEvent("ann", (Role.PREDICT,), digest, datetime(2026, 3, 1, tzinfo=UTC), "bob")})
    with running(create_app(predictor, access=access)) as (port, _, _), connected(port) as connection:
        assert [asked(connection, GOOD, shown)[0] for _ in range(3)] == [200] * 3
        access.tell({})
        assert asked(connection, GOOD, shown)[0] == 401


def test_connections_of_one_moment_each_get_their_own_answer(log: Watched) -> None:
    made = Predictor(log)
    made.swap(one(3), {3: open_model(bundle("Churn", ""))})
    with running(create_app(made)) as (port, _, _), ExitStack() as stack:
        callers = [stack.enter_context(connected(port)) for _ in range(8)]
        for turn in range(4):
            bodies = [{**GOOD, "customerID": f"c-{turn}-{i}", "tenure": 5 * i} for i in range(len(callers))]
            for caller, body in zip(callers, bodies, strict=True):
                caller.sendall(request(body))
            said = [answer(caller)[1] for caller in callers]
            assert [each["customerID"] for each in said] == [body["customerID"] for body in bodies]
            logged = {record.id: (record.input, record.score) for record in log.records}
            assert [logged[each["id"]] for each in said] == [
                (body, each["score"]) for body, each in zip(bodies, said, strict=True)
            ]


def test_a_request_leaves_nothing_to_the_collector(server: socket.socket) -> None:
    """A cycle a request is a pause of milliseconds every second under load."""
    asked(server, GOOD)
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            asked(server, GOOD)
        left = gc.collect()
    finally:
        gc.enable()
    assert left < 100
