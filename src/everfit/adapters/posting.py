"""A JSON document POSTed to an address that may hold a secret, tried again while the other side has trouble.

Limits: http and https only, redirects are not followed. No message, repr or exception shows more than the host.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit

from everfit.errors import ProjectError, StorageError

# Answers that mean "not now": too many requests, and trouble on the other side.
_WORTH_RETRYING = frozenset({408, 425, 429, 500, 502, 503, 504})

Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """`timeout` is in seconds for each attempt; the pause after a failed one starts at `pause` seconds and doubles."""

    timeout: float = 5.0
    attempts: int = 4
    pause: float = 0.5


PATIENCE = Patience()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """A redirected POST would lose its body and may lead anywhere: it is an answer like any other error."""


@dataclass(frozen=True)
class Poster:
    """POSTs to one address. ProjectError when it is none of http or https; `kind` names the channel in messages."""

    url: str = field(repr=False)
    kind: str
    patience: Patience = PATIENCE
    sleep: Sleep = field(default=time.sleep, repr=False)

    def __post_init__(self) -> None:
        host(self.url, self.kind)

    def post(self, what: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Delivers; StorageError, which names `what`, when it was refused or could not be delivered."""
        for attempt in range(1, self.patience.attempts + 1):
            problem, final = self._once(body, headers or {})
            if problem is None:
                return
            if final or attempt == self.patience.attempts:
                raise StorageError(
                    f"{what} was not delivered, attempt {attempt} of {self.patience.attempts}: {problem}",
                    where=f"{self.kind} at {host(self.url, self.kind)}",
                    fix="check that the address in the environment variable is right and can be reached from here",
                )
            self.sleep(self.patience.pause * 2 ** (attempt - 1))

    def _once(self, body: bytes, headers: Mapping[str, str]) -> tuple[str | None, bool]:
        """What went wrong, if anything, without the URL; and whether trying again is useless."""
        request = urllib.request.Request(  # noqa: S310  the scheme was checked when the poster was made
            self.url, data=body, headers={"Content-Type": "application/json", **headers}, method="POST"
        )
        try:
            opener = urllib.request.build_opener(_NoRedirect)
            with opener.open(request, timeout=self.patience.timeout):
                return None, False
        except HTTPError as error:
            error.close()
            return f"it answered {error.code}", error.code not in _WORTH_RETRYING
        except TimeoutError:
            return f"no answer within {self.patience.timeout:g} seconds", False
        except (OSError, HTTPException) as error:
            return f"no connection ({type(getattr(error, 'reason', error)).__name__})", False


def host(url: str, kind: str) -> str:
    """The host of an http or https address; ProjectError, without the address, for any other.

    >>> host("https://hooks.example.org/services/SECRET", "slack")
    'hooks.example.org'
    """
    try:
        parts = urlsplit(url)
        found, _ = parts.hostname, parts.port
    except ValueError:
        parts, found = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not found or not url.isascii() or not url.isprintable() or " " in url:
        raise ProjectError(
            f"the {kind}'s URL is not an http:// or https:// address",
            where="alerts",
            fix=f"put the whole address into the environment variable that `{kind}:` names",
        )
    return found
