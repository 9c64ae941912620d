"""Connecting to a Ray cluster, or starting one on loopback. Imports ray for the executor of that name; extra and config
are said there."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass, field
from typing import Any

from everfit.errors import MissingExtra, StepFailed

WHERE = "training.executor"
_REACH_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where Ray is: `address` as for `ray.init`, `local` for one of our own with `workers` cores (0: all); `modules`
    are files and folders that its workers are to import. `where` is who asked for it, for messages."""

    address: str
    workers: int
    modules: tuple[str, ...]
    where: str = field(default=WHERE, compare=False)


def connect(cluster: Cluster) -> Any:
    """The module ray, connected. Raises MissingExtra without it, StepFailed when there is no such cluster."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"} | os.environ.copy()
    try:
        import ray
    except ImportError as error:
        fix = 'pip install "everfit[ray]"'
        raise MissingExtra("this executor needs the package ray", where=cluster.where, fix=fix) from error
    try:
        _reach(cluster.address)
        ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR, **_options(cluster))
        _share_mapped_arrays(ray)
    except Exception as error:
        raise StepFailed(
            f"no connection to Ray: {type(error).__name__}: {str(error).partition(chr(10))[0]}",
            where=f"{cluster.where}: {cluster.address}",
            fix="see that the cluster runs and can be reached, or choose the executor `processes`",
        ) from error
    return ray


def _options(cluster: Cluster) -> dict[str, Any]:
    if cluster.address == "local":
        return {"num_cpus": cluster.workers or None, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    return {"runtime_env": {"py_modules": list(cluster.modules)}} if cluster.modules else {}


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
