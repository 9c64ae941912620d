"""Alarms as a JSON document POSTed to a URL.

No extra; `alerts: [{webhook: "${ALERT_URL}"}]`. The body is the alarm record with its message once more as `text`,
which is what Slack's and Mattermost's incoming webhooks show. Limits: http and https only, redirects are not followed,
an alarm may arrive twice when an answer is lost (its `key` tells).
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit

from everfit.errors import ProjectError, StorageError
from everfit.records.codec import encode
from everfit.records.watch import Alarm

# Answers that mean "not now": too many requests, and trouble on the other side.
_WORTH_RETRYING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """`url` is a secret, for it often holds a token: it is in no message and in no repr. `timeout` is in seconds for
    each attempt; the pause after a failed attempt starts at `pause` seconds and doubles."""

    url: str = field(repr=False)
    timeout: float = 5.0
    attempts: int = 4
    pause: float = 0.5


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """A redirected POST would lose its body and may lead anywhere: it is an answer like any other error."""


class WebhookAlerts:
    """An AlertChannel that POSTs. ProjectError when the URL is none of http or https."""

    def __init__(self, config: WebhookConfig, sleep: Callable[[float], None] = time.sleep) -> None:
        self._config = config
        self._sleep = sleep
        self._host = _host(config.url)
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, alarm: Alarm) -> None:
        """Delivers, trying again with growing pauses; StorageError when it was refused or could not be delivered."""
        body = json.dumps(json.loads(encode(alarm)) | {"text": alarm.message}).encode()
        for attempt in range(1, self._config.attempts + 1):
            problem, final = self._post(body)
            if problem is None:
                return
            if final or attempt == self._config.attempts:
                raise StorageError(
                    f"the alarm {alarm.key} was not delivered, attempt {attempt} of {self._config.attempts}: {problem}",
                    where=f"webhook at {self._host}",
                    fix="check that the address in the environment variable is right and can be reached from here",
                )
            self._sleep(self._config.pause * 2 ** (attempt - 1))

    def _post(self, body: bytes) -> tuple[str | None, bool]:
        """What went wrong, if anything, without the URL; and whether trying again is useless."""
        request = urllib.request.Request(  # noqa: S310  the scheme was checked when the channel was made
            self._config.url, data=body, headers={"Content-Type": "application/json"}, method="POST"
        )
        try:
            with self._opener.open(request, timeout=self._config.timeout):
                return None, False
        except HTTPError as error:
            error.close()
            return f"it answered {error.code}", error.code not in _WORTH_RETRYING
        except TimeoutError:
            return f"no answer within {self._config.timeout:g} seconds", False
        except (OSError, HTTPException) as error:
            return f"no connection ({type(getattr(error, 'reason', error)).__name__})", False


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ProjectError(
            "the webhook's URL is not an http:// or https:// address",
            where="alerts",
            fix="put the whole address into the environment variable that `webhook:` names",
        )
    return host
