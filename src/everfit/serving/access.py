"""Who may ask for what: a key's roles, how often it may ask, and how much may be under way at once.

What no rule names is closed. While no key exists and the server is reached from this machine alone, it is open.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from everfit.records.access import APPROVERS, KeyEvent, Role
from everfit.serving.body import Headers

# Probes ask without a key: they learn no more than that a server is there.
OPEN = frozenset({"/health", "/ready", "/ping", "/v2/health/live", "/v2/health/ready"})
_PREDICT = frozenset({"/predict", "/invocations"})
_OPERATE = frozenset({"/metrics"})
_ANY = frozenset({"/version", "/docs", "/openapi.json", "/v2"})
_BURST_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in."""

    status: int
    what: str
    fix: str
    headers: Mapping[str, str]


def roles(path: str) -> frozenset[Role]:
    """Which roles open a path; `admin` opens every one.

    >>> [role.value for role in sorted(roles("/v2/models/churn/infer"))], roles("/nowhere") == {Role.ADMIN}
    (['admin', 'predict'], True)
    """
    if path in _ANY:
        return frozenset(Role)
    if path.startswith("/explain/"):
        return frozenset({Role.PREDICT, Role.OPERATE, Role.ADMIN})
    if path in _PREDICT or path.startswith("/v2/models/"):
        return frozenset({Role.PREDICT, Role.ADMIN})
    if path == "/approve":
        return APPROVERS
    if path == "/feedback":
        return frozenset({Role.FEEDBACK, Role.ADMIN})
    return frozenset({Role.OPERATE, Role.ADMIN} if path in _OPERATE else {Role.ADMIN})


@dataclass(slots=True)
class _Holder:
    """A key's name and roles, and how many requests it has left at a moment."""

    digest: str
    roles: frozenset[Role]
    left: float
    at: float


class Access:
    """Lets requests in by the keys that it was last told of. `required` keeps it closed without any key; `rate` is
    how many requests a second each key may send to this worker, with twice as many at once."""

    def __init__(
        self, required: bool = False, rate: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._required = required
        self._rate = rate
        self._clock = clock
        self._holders: dict[str, _Holder] = {}
        self._is_told = True

    def tell(self, keys: Mapping[str, KeyEvent]) -> None:
        """These keys open something from now on, and no others."""
        now, full = self._clock(), (self._rate or 0.0) * _BURST_SECONDS
        before = self._holders
        made = {event.digest: _Holder(event.digest, frozenset(event.roles), full, now) for event in keys.values()}
        for digest in made.keys() & before.keys():
            made[digest].left, made[digest].at = before[digest].left, before[digest].at
        self._holders, self._is_told = made, True

    def close(self) -> None:
        """Lets nobody in until told again."""
        self._is_told = False

    def refusal(self, headers: Headers, path: str) -> Refusal | None:
        """None for who may pass."""
        if path in OPEN or not (self._holders or self._required or not self._is_told):
            return None
        key = key_of(headers)
        if key is None:
            return Refusal(
                401,
                "a key is needed",
                "send the header `Authorization: Bearer KEY`; `everfit keys add NAME` makes one",
                {"www-authenticate": "Bearer"},
            )
        digest = hashlib.sha256(key).hexdigest()
        holder = self._holders.get(digest)
        # The dictionary finds by hash of a hash; the comparison that decides takes the same time for every key.
        if holder is None or not hmac.compare_digest(holder.digest, digest):
            return Refusal(401, "the key is not known", "it may have been taken back", {"www-authenticate": "Bearer"})
        if not holder.roles & roles(path):
            return Refusal(403, f"the key does not open {path[:80]}", "ask for a key with another role", {})
        return self._slowed(holder)

    def _slowed(self, holder: _Holder) -> Refusal | None:
        if self._rate is None:
            return None
        now = self._clock()
        holder.left = min(self._rate * _BURST_SECONDS, holder.left + (now - holder.at) * self._rate)
        holder.at = now
        if holder.left < 1:
            wait = str(max(1, round((1 - holder.left) / self._rate)))
            return Refusal(429, "the key asks more often than it may", "ask again later", {"retry-after": wait})
        holder.left -= 1
        return None


def key_of(headers: Headers) -> bytes | None:
    """The key that a request shows."""
    given = headers.get(b"authorization")
    if given is not None and given[:7].lower() == b"bearer ":
        return given[7:].strip()
    return headers.get(b"x-api-key")
