from __future__ import annotations

import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from everfit.adapters.alerts.console import ConsoleAlerts
from everfit.adapters.alerts.webhook import WebhookAlerts, WebhookConfig
from everfit.testing.contracts import AlertChannelContract


class TestConsoleAlerts(AlertChannelContract):
    @pytest.fixture(autouse=True)
    def _stream(self) -> None:
        self.stream = io.StringIO()

    def make(self, folder: Path) -> ConsoleAlerts:
        return ConsoleAlerts(self.stream)

    def delivered(self, folder: Path) -> str:
        return self.stream.getvalue()

    def broken(self, folder: Path) -> ConsoleAlerts:
        self.stream.close()
        return ConsoleAlerts(self.stream)


class Receiver(http.server.BaseHTTPRequestHandler):
    bodies: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that the server class gives it
        pass


class TestWebhookAlerts(AlertChannelContract):
    @pytest.fixture(autouse=True)
    def _receiver(self) -> Iterator[None]:
        Receiver.bodies.clear()
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}/alerts"
            yield
            server.shutdown()
            thread.join()

    def make(self, folder: Path) -> WebhookAlerts:
        return WebhookAlerts(WebhookConfig(self.url))

    def delivered(self, folder: Path) -> str:
        return "\n".join(Receiver.bodies)

    def broken(self, folder: Path) -> WebhookAlerts:
        # Port 9 is reserved for discarding; nothing listens there.
        return WebhookAlerts(WebhookConfig("http://127.0.0.1:9/", attempts=2), sleep=lambda _: None)
