"""A Ray cluster of two machines that are processes here: one core and 100 MB of object store each, with a token of its
own. A process holds the nodes, so that nothing of them is left in the one that tests."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import pytest

_HOLDER = """
import sys
from ray.cluster_utils import Cluster

node = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
# On a busy machine a node may take its time to answer; one that is gone is noticed by its closed connections.
patient = {"health_check_timeout_ms": 60_000, "agent_register_timeout_ms": 120_000}
cluster = Cluster(initialize_head=True, head_node_args={**node, "_system_config": patient})
cluster.add_node(**node)
print(cluster.address, flush=True)
for line in sys.stdin:
    if line == "add\\n":
        third = cluster.add_node(**node)
    else:
        cluster.remove_node(third, allow_graceful=False)
    print("done", flush=True)
cluster.shutdown()
"""


@dataclass(frozen=True)
class RayCluster:
    """A running cluster: `address` is where it listens."""

    address: str
    _holder: subprocess.Popen[str]

    def add_node(self) -> None:
        """A third node."""
        self._tell("add")

    def kill_node(self) -> None:
        """Kills the processes of the third node."""
        self._tell("kill")

    def _tell(self, word: str) -> None:
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.write(f"{word}\n")
        self._holder.stdin.flush()
        assert self._holder.stdout.readline() == "done\n"


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """The cluster, for all tests of the session."""
    if find_spec("ray") is None:
        pytest.skip("the package ray is not installed")
    own = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    os.environ.update(own)  # read once, when Ray is imported
    command = [sys.executable, "-c", _HOLDER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        address = holder.stdout.readline().strip()
        assert address, "the cluster did not start"
        yield RayCluster(address, holder)
        holder.stdin.close()
    for name in own:
        os.environ.pop(name, None)
