"""The Ray executor: a Ray of its own on this machine, or a cluster. Extra: `everfit[ray]`. Config: `training.executor:
ray` (a Ray started for the run on loopback, or the cluster that RAY_ADDRESS names), `ray://HOST:PORT` (a cluster's
client port); `training.workers`.

`shared` goes into the object store once, and workers on a machine read its arrays in place. An item whose machine or
process dies is run again elsewhere. The cluster needs everfit in the same version; `modules` are sent to it. Limits: a
process speaks to one cluster at a time; through `ray://` each worker holds a copy of memory-mapped arrays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, TypeVar

from everfit.adapters.executors.ray_connection import WHERE, Cluster
from everfit.adapters.executors.ray_session import connected
from everfit.errors import StepFailed

A = TypeVar("A")
B = TypeVar("B")
S = TypeVar("S")

_RETRIES = 5
_AHEAD = 2  # items handed out for each core


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """Runs items as Ray tasks of one core each. `address` as for `ray.init`, `local` for a Ray of our own with
    `workers` cores (0: all); `modules` are files and folders of the project that the workers import; `where` says in
    messages who asked for it."""

    address: str = "local"
    workers: int = 0
    modules: tuple[str, ...] = ()
    where: str = field(default=WHERE, compare=False)

    def map(self, function: Callable[[S, A], B], items: Iterable[A], shared: S) -> Iterator[B]:
        """The results in the order of the items; nothing more is begun once the iterator is closed.

        Raises MissingExtra without Ray, StepFailed when there is no cluster or an item keeps killing its worker.
        """
        left = iter(items)
        first = list(islice(left, 1))
        return self._run(function, chain(first, left), shared) if first else iter(())

    def _run(self, function: Callable[[S, A], B], left: Iterator[A], shared: S) -> Iterator[B]:
        with connected(Cluster(self.address, self.workers, self.modules, self.where)) as ray:
            task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_call)
            stored = ray.put(shared)
            # What was handed to Ray runs to its end, whoever stops reading: a task cancelled as it ends can abort this
            # process (seen with Ray 2.60). So only as many as keep every core busy.
            ahead = _AHEAD * int(ray.cluster_resources().get("CPU", 1))
            pending = deque(task.remote(function, stored, item) for item in islice(left, ahead))
            while pending:
                result = _result(ray, pending.popleft(), self.where)
                pending.extend(task.remote(function, stored, item) for item in islice(left, 1))
                yield result


def _call(function: Callable[[Any, Any], Any], shared: Any, item: Any) -> Any:
    return function(shared, item)


def _result(ray: Any, reference: Any, where: str) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None  # what the function raised, without the cluster's frames
    except ray.exceptions.RayError as error:
        raise StepFailed(
            f"a worker was lost: {str(error).strip().splitlines()[0]}",
            where=where,
            fix="look at the cluster's memory and logs, or choose the executor `processes`",
        ) from error
