"""Alarms as a JSON document POSTed to a URL, signed where a key is given.

No extra; `alerts: [{webhook: "${ALERT_URL}"}]`, or `{webhook: {url: "${ALERT_URL}", key: "${ALERT_KEY}"}}`. The body is
the alarm record with its `id`, and its message once more as `text`. With a key the header `X-Everfit-Signature` is
`t=SECONDS,v1=HEX`, the HMAC-SHA256 of `SECONDS.BODY`: the receiver computes it anew, compares in constant time and
refuses old seconds. Limits: those of `posting`; an alarm may arrive twice when an answer is lost (its `id` tells).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from everfit.adapters.posting import Patience, Poster
from everfit.records.codec import encode
from everfit.records.watch import Alarm

SIGNATURE = "X-Everfit-Signature"


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """`url` is a secret, for it often holds a token, and so is `key`: they are in no message and in no repr."""

    url: str = field(repr=False)
    key: str | None = field(default=None, repr=False)
    timeout: float = 5.0
    attempts: int = 4
    pause: float = 0.5


class WebhookAlerts:
    """An AlertChannel that POSTs. ProjectError when the URL is none of http or https."""

    def __init__(self, config: WebhookConfig, sleep: Callable[[float], None] = time.sleep) -> None:
        self._key = config.key
        self._poster = Poster(config.url, "webhook", Patience(config.timeout, config.attempts, config.pause), sleep)

    def send(self, alarm: Alarm) -> None:
        """Delivers, trying again with growing pauses; StorageError when it was refused or could not be delivered."""
        body = json.dumps(json.loads(encode(alarm)) | {"id": alarm.id, "text": alarm.message}).encode()
        headers = {SIGNATURE: signature(self._key, body, int(time.time()))} if self._key else {}
        self._poster.post(f"the alarm {alarm.key}", body, headers)


def signature(key: str, body: bytes, seconds: int) -> str:
    """The header's value for a body sent at that time, in seconds since 1970.

    >>> signature("secret", b"{}", 0)[:15]
    't=0,v1=4bbe8d39'
    """
    digest = hmac.new(key.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"
