"""Who may act on a project by itself: of several processes that watch one state, one at a time.

The holder renews its lease while it works. A process that ends gives it back; one that was killed is noticed at once on
its own machine, and by the lease's deadline on another. The machines' clocks must agree to within a minute.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from everfit.errors import Conflict, StorageError
from everfit.flow import processes
from everfit.ports import StateStore
from everfit.records.codec import decode, encode

STREAM = "lease"
LENGTH = timedelta(minutes=10)
RENEW = timedelta(minutes=3)
_CLOCKS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Lease:
    """`holder` acts until the time `until`, unless it `ended` before; it is the process `pid` of a machine."""

    holder: str
    by: str
    host: str
    pid: int
    begun: datetime
    until: datetime
    ended: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, begun by {self.by} at {self.begun:%Y-%m-%d %H:%M:%S} UTC"


class Turn:
    """This process' turn to act. `take` and `keep` raise Conflict while it is another's, and StorageError while the
    state is away; a turn that could not be renewed is over at its deadline."""

    def __init__(self, by: str) -> None:
        now = datetime.now(UTC)
        self._mine = Lease(uuid4().hex, by, socket.gethostname(), os.getpid(), now, now)

    def held(self) -> bool:
        """Whether this process may act now."""
        return not self._mine.ended and datetime.now(UTC) < self._mine.until

    def take(self, state: StateStore) -> None:
        """Takes the turn, or renews it."""
        last = state.last(STREAM)
        other = None if last is None else decode(Lease, last[1], where=f"lease {last[0]}")
        if other is not None and other.holder != self._mine.holder and _is_held(other):
            raise Conflict(
                f"another process acts on this project: {other}",
                where=STREAM,
                fix=f"end that one, or wait: its turn is over at {other.until:%H:%M} UTC unless it goes on",
            )
        mine = replace(self._mine, until=datetime.now(UTC) + LENGTH, ended=False)
        state.append(STREAM, encode(mine), expect=last[0] if last else 0)
        self._mine = mine

    def keep(self, state: StateStore) -> None:
        """Takes the turn, or renews it when it is time to; to be called every few seconds."""
        if not self.held() or self._mine.until - datetime.now(UTC) < LENGTH - RENEW:
            self.take(state)

    def give(self, state: StateStore) -> None:
        """Gives the turn back; a state that is away learns it by the deadline."""
        if self.held():
            self._mine = replace(self._mine, ended=True)
            with suppress(StorageError):
                state.append(STREAM, encode(self._mine))


def check_alone(state: StateStore) -> None:
    """Raises Conflict where another process of this machine acts on the project: two of them here are a mistake, while
    one on another machine may stand by."""
    last = state.last(STREAM)
    other = None if last is None else decode(Lease, last[1], where=f"lease {last[0]}")
    if other is not None and other.host == socket.gethostname() and other.pid != os.getpid() and _is_held(other):
        raise Conflict(
            f"another process acts on this project: {other}",
            where=STREAM,
            fix="end that one first; for one more server of the same project use `everfit serve`",
        )


def _is_held(lease: Lease) -> bool:
    if lease.ended or datetime.now(UTC) > lease.until + _CLOCKS:
        return False
    return lease.host != socket.gethostname() or processes.alive(lease.pid, lease.begun.timestamp())
