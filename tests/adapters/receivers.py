"""Receivers of alarms that hold senders to the documented form of what they get, as the real ones do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

Check = Callable[[dict[str, Any]], str | None]


class Receiver:
    """An HTTP server on the loopback that answers 400 to what `check` finds fault with."""

    def __init__(self, check: Check, good: int) -> None:
        self.taken: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.raw: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                fault = "no JSON" if self.headers["Content-Type"] != "application/json" else check(json.loads(raw))
                if fault is None:
                    receiver.taken.append(json.loads(raw))
                    receiver.raw.append(raw)
                    receiver.headers.append(dict(self.headers))
                self.send_response(400 if fault else good, fault)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/in"


@contextmanager
def receiving(check: Check, good: int = 200) -> Iterator[Receiver]:
    """A receiver that listens."""
    made = Receiver(check, good)
    thread = Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


def anything(_: dict[str, Any]) -> str | None:
    """Takes all."""
    return None


def slack(body: dict[str, Any]) -> str | None:
    """What an incoming webhook refuses (https://api.slack.com/reference/block-kit/blocks)."""
    if not body.get("text"):
        return "no_text"
    for block in body.get("blocks", ()):
        texts = {"header": [block.get("text")], "section": [block.get("text")], "context": block.get("elements", [])}
        if block["type"] not in texts:
            return "invalid_blocks"
        most = 150 if block["type"] == "header" else 3_000
        kinds = {"plain_text"} if block["type"] == "header" else {"plain_text", "mrkdwn"}
        for text in texts[block["type"]]:
            if text is None or text["type"] not in kinds or not 0 < len(text["text"]) <= most:
                return "invalid_blocks"
            if re.search(r"<[!@#]", text["text"]):
                return "a mention that nobody meant"
    return None


def pagerduty(key: str) -> Check:
    """What the Events API v2 refuses (https://developer.pagerduty.com/docs/send-alert-event)."""

    def check(body: dict[str, Any]) -> str | None:
        if body.get("routing_key") != key or body.get("event_action") not in ("trigger", "acknowledge", "resolve"):
            return "invalid event"
        if len(body.get("dedup_key", "")) > 255 or (body["event_action"] != "trigger" and not body.get("dedup_key")):
            return "invalid dedup_key"
        if body["event_action"] == "trigger":
            payload = body.get("payload", {})
            if not 0 < len(payload.get("summary", "")) <= 1_024 or not payload.get("source"):
                return "invalid payload"
            if payload.get("severity") not in ("critical", "error", "warning", "info"):
                return "invalid severity"
            datetime.fromisoformat(payload["timestamp"])
        return None

    return check
