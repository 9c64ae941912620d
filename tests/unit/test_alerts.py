"""Alert channels: delivered to a real receiver, or an error that hides the secret."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from everfit.adapters.alerts.console import ConsoleAlerts
from everfit.adapters.alerts.webhook import WebhookAlerts, WebhookConfig
from everfit.errors import ProjectError, StorageError
from everfit.ports import AlertChannel
from everfit.records.codec import decode
from everfit.records.watch import Alarm, AlarmKind

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
ALARM = Alarm("drift:7:age", AlarmKind.DRIFT, AT, "age moved: 31% of rows", {"age": 0.31}, 0.0005)


class Receiver:
    """An HTTP server on a free loopback port that answers with `answers` in turn, the last one for ever."""

    def __init__(self) -> None:
        self.answers = [200]
        self.bodies: list[dict[str, Any]] = []
        self.types: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                receiver.types.append(self.headers["Content-Type"])
                status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook/TOKEN123"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Receiver()
    thread = Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def channel(url: str, pauses: list[float] | None = None) -> WebhookAlerts:
    return WebhookAlerts(WebhookConfig(url), sleep=(pauses if pauses is not None else []).append)


def test_the_alarm_arrives_as_json_with_its_text(receiver: Receiver) -> None:
    to: AlertChannel = channel(receiver.url)
    to.send(ALARM)
    (body,) = receiver.bodies
    assert receiver.types == ["application/json"]
    assert body.pop("text") == ALARM.message
    assert decode(Alarm, json.dumps(body)) == ALARM


def test_trouble_on_the_other_side_is_waited_out_with_growing_pauses(receiver: Receiver) -> None:
    receiver.answers = [503, 429, 200]
    pauses: list[float] = []
    channel(receiver.url, pauses).send(ALARM)
    assert len(receiver.bodies) == 3
    assert pauses == [0.5, 1.0]


@pytest.mark.parametrize(("status", "attempts"), [(500, 4), (404, 1), (302, 1)])
def test_an_alarm_that_is_not_taken_is_an_error_without_the_secret(
    receiver: Receiver, status: int, attempts: int
) -> None:
    receiver.answers = [status]
    with pytest.raises(StorageError, match=f"it answered {status}") as caught:
        channel(receiver.url).send(ALARM)
    assert len(receiver.bodies) == attempts
    assert "TOKEN123" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_nobody_listening_is_an_error_after_all_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        url = f"http://127.0.0.1:{closed.server_port}/TOKEN123"
    pauses: list[float] = []
    with pytest.raises(StorageError, match="no connection") as caught:
        channel(url, pauses).send(ALARM)
    assert len(pauses) == 3
    assert "TOKEN123" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://h/TOKEN",
        "TOKEN",
        "",
        "http:///TOKEN",
        "http://h:port/TOKEN",
        "http://h/TO KEN",
        "http://[h/",
    ],
)
def test_only_http_addresses_are_taken_and_a_wrong_one_is_not_repeated(url: str) -> None:
    with pytest.raises(ProjectError) as caught:
        channel(url)
    assert "TO" not in str(caught.value)


def test_the_secret_is_in_no_repr(receiver: Receiver) -> None:
    assert "TOKEN123" not in repr(WebhookConfig(receiver.url)) + repr(channel(receiver.url))


def test_the_console_shows_a_block_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    to: AlertChannel = ConsoleAlerts()
    to.send(ALARM)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[:2] == [f"ALARM drift at {AT}", "  age moved: 31% of rows"]


def test_the_console_passes_no_control_characters_on() -> None:
    stream = io.StringIO()
    ConsoleAlerts(stream).send(Alarm("k", AlarmKind.FAILURE, AT, "evil \x1b[2J name"))
    assert stream.getvalue().splitlines()[1] == "  evil ?[2J name"


def test_a_closed_console_is_an_error() -> None:
    stream = io.StringIO()
    stream.close()
    with pytest.raises(StorageError, match="could not be written"):
        ConsoleAlerts(stream).send(ALARM)
