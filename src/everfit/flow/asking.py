"""A server asked as its callers ask it: over HTTP, one request after the other, with the time of each answer."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from everfit.errors import NotReady, ProjectError

_LONGEST = 4_000_000  # bytes of an answer that are read


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: the status, the body as JSON (its text where it is none), and the seconds that it took."""

    status: int
    body: Any
    seconds: float

    @property
    def told(self) -> str:
        """The status, and what the server said of an error."""
        said = self.body.get("error", "") if isinstance(self.body, dict) else str(self.body)[:200]
        return f"status {self.status}: {said}" if said else f"status {self.status}"


@dataclass(frozen=True, slots=True)
class Asking:
    """One server by its URL; `key` is sent with every request, and never shown. Redirects are not followed. Raises
    ProjectError for a URL that is none of http or https."""

    url: str
    key: str = ""
    context: ssl.SSLContext | None = None
    timeout: float = 10.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ProjectError("is not the address of a server", where="--url", fix="write http://HOST:PORT, or https")

    def get(self, path: str) -> Answered:
        """GET. Raises NotReady where nobody answers."""
        return self._asked("GET", path, b"", {})

    def post(self, path: str, body: object) -> Answered:
        """POST of a JSON body. Raises NotReady where nobody answers."""
        return self._asked("POST", path, json.dumps(body).encode(), {"content-type": "application/json"})

    def _asked(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        parts = urlsplit(self.url)
        host, keyed = parts.hostname or "", {"authorization": f"Bearer {self.key}"} if self.key else {}
        if parts.scheme == "https":
            context = self.context or ssl.create_default_context()
            connection: HTTPConnection = HTTPSConnection(host, parts.port, timeout=self.timeout, context=context)
        else:
            connection = HTTPConnection(host, parts.port, timeout=self.timeout)
        began = time.perf_counter()
        try:
            connection.request(method, parts.path.rstrip("/") + path, body or None, {**headers, **keyed})
            answer = connection.getresponse()
            text = answer.read(_LONGEST)
        except (OSError, HTTPException) as error:
            raise NotReady(
                f"nobody answers: {error}", where=self.url, fix="start a server with `everfit serve`, or name its --url"
            ) from error
        finally:
            connection.close()
        return Answered(answer.status, _value(text), time.perf_counter() - began)


def _value(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")
