"""This process' connection to a Ray cluster: one at a time, kept for the next map, left when nobody has used it for a
while. Extra and config are said at the executor."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from everfit.adapters.executors.ray_connection import WHERE, Cluster, connect
from everfit.errors import EverfitError, StepFailed

_IDLE_SECONDS = 60
_turn = threading.Lock()
_sessions: list[_Session] = []  # the one that is open


@contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """The module ray, connected. Raises MissingExtra without it, StepFailed when the cluster cannot be reached or this
    process is at work on another one."""
    with _turn:
        session = _session(cluster)
        session.users += 1
        session.changed.notify_all()
    try:
        session.ready.wait()
        if session.error:
            raise session.error
        yield session.ray
    finally:
        with _turn:
            session.users -= 1
            session.changed.notify_all()


def disconnect() -> None:
    """Leaves the cluster at once, and not only after a while; does nothing where there is no connection."""
    with _turn:
        for session in _sessions:
            _leave(session)


@dataclass(eq=False)
class _Session:
    """A connection, held by a thread of its own: Linux ends Ray's processes with the thread that started them."""

    cluster: Cluster
    users: int = 0
    idle: float = _IDLE_SECONDS
    ray: Any = None
    error: EverfitError | None = None
    changed: threading.Condition = field(default_factory=lambda: threading.Condition(_turn))
    ready: threading.Event = field(default_factory=threading.Event)

    def hold(self) -> None:
        """Connects, waits until nobody needs the connection any more, and leaves."""
        try:
            self.ray = connect(self.cluster)
        except EverfitError as error:
            self.error, self.idle = error, 0
        self.ready.set()
        with self.changed:
            while self.changed.wait_for(lambda: self.users or not self.idle, self.idle) and self.users:
                self.changed.wait_for(lambda: not self.users)
            if self.ray:
                self.ray.shutdown()
            _sessions.remove(self)
            self.changed.notify_all()


def _session(cluster: Cluster) -> _Session:
    """The open one if it is to the same cluster; another one is left first. Called with the lock held."""
    if _sessions and _sessions[0].cluster != cluster:
        _leave(_sessions[0])
    if not _sessions:
        _sessions.append(_Session(cluster))
        threading.Thread(target=_sessions[0].hold, daemon=True, name="ray").start()
    return _sessions[0]


def _leave(session: _Session) -> None:
    if session.users:
        fix = "wait until that is done, or train in a process of its own"
        raise StepFailed(f"this process is at work on another Ray, {session.cluster.address}", where=WHERE, fix=fix)
    session.idle = 0
    session.changed.notify_all()
    session.changed.wait_for(lambda: session not in _sessions)
