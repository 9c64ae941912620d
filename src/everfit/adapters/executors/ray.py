"""The Ray executor: a Ray of its own on this machine, or a cluster. Extra: `everfit[ray]`. Config: `training.executor:
ray` (a Ray started for the run on loopback, or the cluster that RAY_ADDRESS names), `ray://HOST:PORT` (a cluster's
client port); `training.workers`.

`shared` goes into the object store once, and workers on a machine read its arrays in place. An item whose machine or
process dies is run again elsewhere. The cluster needs everfit in the same version; `modules` are sent to it. Limits: a
process speaks to one cluster at a time; through `ray://` each worker holds a copy of memory-mapped arrays.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from everfit.errors import EverfitError, MissingExtra, StepFailed

A = TypeVar("A")
B = TypeVar("B")
S = TypeVar("S")

_IDLE_SECONDS = 60
_REACH_SECONDS = 10
_RETRIES = 5
_turn = threading.Lock()
_sessions: list[_Session] = []  # the one that is open


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """Runs items as Ray tasks of one core each. `address` as for `ray.init`, `local` for a Ray of our own with
    `workers` cores (0: all); `modules` are files and folders of the project that the workers import."""

    address: str = "local"
    workers: int = 0
    modules: tuple[str, ...] = ()

    def map(self, function: Callable[[S, A], B], items: Sequence[A], shared: S) -> Iterator[B]:
        """The results in the order of the items; what is still to run is cancelled when the iterator is closed.

        Raises MissingExtra without Ray, StepFailed when there is no cluster or an item keeps killing its worker.
        """
        return self._run(function, items, shared) if items else iter(())

    def _run(self, function: Callable[[S, A], B], items: Sequence[A], shared: S) -> Iterator[B]:
        with _connected(self) as ray:
            task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_call)
            stored = ray.put(shared)
            pending = [task.remote(function, stored, item) for item in items]
            try:
                while pending:
                    yield _result(ray, pending[0])
                    pending.pop(0)
            finally:
                for left in pending:
                    ray.cancel(left, force=False)


def _call(function: Callable[[Any, Any], Any], shared: Any, item: Any) -> Any:
    return function(shared, item)


def _result(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None  # what the function raised, without the cluster's frames
    except ray.exceptions.RayError as error:
        raise StepFailed(
            f"a worker was lost: {str(error).strip().splitlines()[0]}",
            where="training.executor",
            fix="look at the cluster's memory and logs, or train with `executor: processes`",
        ) from error


@dataclass(eq=False)
class _Session:
    """A connection, held by a thread of its own: Linux ends Ray's processes with the thread that started them."""

    executor: RayExecutor
    users: int = 0
    idle: float = _IDLE_SECONDS
    ray: Any = None
    error: EverfitError | None = None
    changed: threading.Condition = field(default_factory=lambda: threading.Condition(_turn))
    ready: threading.Event = field(default_factory=threading.Event)

    def hold(self) -> None:
        """Connects, and leaves when nobody has used the connection for a while."""
        try:
            self.ray = _connect(self.executor)
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


@contextmanager
def _connected(executor: RayExecutor) -> Iterator[Any]:
    with _turn:
        session = _session(executor)
        session.users += 1
        session.changed.notify_all()
    try:
        session.ready.wait()
        if session.error:
            raise session.error
        yield session.ray
    finally:
        with session.changed:
            session.users -= 1
            session.changed.notify_all()


def _session(executor: RayExecutor) -> _Session:
    """The open one if it is to the same cluster; another one is left first. Called with the lock held."""
    if _sessions and _sessions[0].executor != executor:
        _leave(_sessions[0])
    if not _sessions:
        _sessions.append(_Session(executor))
        threading.Thread(target=_sessions[0].hold, daemon=True, name="ray").start()
    return _sessions[0]


def _leave(session: _Session) -> None:
    if session.users:
        raise StepFailed(
            f"this process is at work on another Ray, {session.executor.address}",
            where="training.executor",
            fix="wait until that is done, or train in a process of its own",
        )
    session.idle = 0
    session.changed.notify_all()
    session.changed.wait_for(lambda: session not in _sessions)


def disconnect() -> None:
    """Leaves the cluster at once, and not only after a while; does nothing where there is no connection."""
    with _turn:
        for session in _sessions:
            _leave(session)


def _connect(executor: RayExecutor) -> Any:
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"} | os.environ.copy()
    try:
        import ray
    except ImportError as error:
        fix = 'pip install "everfit[ray]"'
        raise MissingExtra("this executor needs the package ray", where="training.executor", fix=fix) from error
    own: dict[str, Any] = {"num_cpus": executor.workers or None, "include_dashboard": False}
    own |= {"_node_ip_address": "127.0.0.1"}
    sent = {"runtime_env": {"py_modules": list(executor.modules)}} if executor.modules else {}
    try:
        _reach(executor.address)
        ray.init(
            executor.address,
            log_to_driver=False,
            logging_level="error",
            **(own if executor.address == "local" else sent),
        )
        _share_mapped_arrays(ray)
    except Exception as error:
        raise StepFailed(
            f"no connection to Ray: {type(error).__name__}: {str(error).partition(chr(10))[0]}",
            where=f"training.executor: {executor.address}",
            fix="see that the cluster runs and can be reached, or train with `executor: processes`",
        ) from error
    return ray


def _reach(address: str) -> None:
    """OSError at once where nobody listens; Ray itself would try for half a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()


def _share_mapped_arrays(ray: Any) -> None:
    """Memory-mapped arrays would be copied into the message; as plain ones they lie in the object store, once."""
    import numpy as np

    if not ray.util.client.ray.is_connected():
        ray.util.register_serializer(np.memmap, serializer=np.asarray, deserializer=np.asarray)
