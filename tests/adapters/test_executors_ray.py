"""The Ray executor on a cluster of two nodes, and on a Ray of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from everfit.adapters.executors import ray as adapter
from everfit.adapters.executors.processes import ProcessesExecutor
from everfit.adapters.executors.ray import RayExecutor
from everfit.adapters.executors.ray_session import disconnect
from everfit.adapters.executors.serial import SerialExecutor
from everfit.adapters.sources.parquet import ParquetSource
from everfit.errors import StepFailed
from everfit.flow import bulk, scattered, scoring
from everfit.serving.arms import Snapshot
from everfit.testing.contracts import ExecutorContract
from tests.integration.projects import SETTINGS, write
from tests.services.ray_nodes import RayCluster, ray_cluster
from tests.unit.serving_models import bundle, model, one, table

__all__ = ["ray_cluster"]

# One cluster, and one process that is connected to it.
pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module", autouse=True)
def _disconnected_afterwards() -> Iterator[None]:
    yield
    disconnect()


@pytest.fixture
def on_cluster(ray_cluster: RayCluster) -> RayExecutor:
    return RayExecutor(ray_cluster.address)


class TestRayExecutor(ExecutorContract):
    @pytest.fixture(autouse=True)
    def _cluster(self, ray_cluster: RayCluster) -> None:
        self.address = ray_cluster.address

    def make(self, folder: Path) -> RayExecutor:
        return RayExecutor(self.address)


def met(folder: str, item: int) -> int:
    """How many nodes were at work at once, as soon as there are two: none goes on to its next item before that."""
    import ray

    Path(folder, ray.get_runtime_context().get_node_id()).touch()
    deadline = time.monotonic() + 90
    while len(list(Path(folder).iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(list(Path(folder).iterdir()))


def placed(shared: NDArray[np.float64], item: int) -> tuple[bool, bool, float, str | None]:
    own = type(shared) is np.ndarray and not shared.flags.owndata
    return own, shared.flags.writeable, float(shared[item]), os.environ.get("OMP_NUM_THREADS")


def broken(shared: str, item: int) -> int:
    raise StepFailed("broke", where=shared, fix="mend it")


def slow_square(shared: float, item: int) -> int:
    time.sleep(shared)
    return item * item


def ends_its_process(shared: str, item: int) -> int:
    os._exit(1)


def test_items_run_on_both_nodes(on_cluster: RayExecutor, tmp_path: Path) -> None:
    assert list(on_cluster.map(met, range(2), str(tmp_path))) == [2, 2]


def test_a_mapped_array_lies_in_the_object_store_once_and_items_compute_in_one_thread(
    on_cluster: RayExecutor, tmp_path: Path
) -> None:
    np.save(tmp_path / "array.npy", np.arange(200_000.0))
    mapped = np.load(tmp_path / "array.npy", mmap_mode="r")
    assert list(on_cluster.map(placed, [0, 7], mapped)) == [(True, False, 0.0, "1"), (True, False, 7.0, "1")]


def test_an_error_of_ours_arrives_with_where_and_fix(on_cluster: RayExecutor) -> None:
    with pytest.raises(StepFailed, match="broke") as caught:
        list(on_cluster.map(broken, [1], "here"))
    assert (caught.value.where, caught.value.fix) == ("here", "mend it")


def test_a_node_killed_in_the_middle_changes_nothing(ray_cluster: RayCluster, on_cluster: RayExecutor) -> None:
    ray_cluster.add_node()
    results = on_cluster.map(slow_square, range(12), 0.2)
    found = [next(results)]
    ray_cluster.kill_node()
    assert [*found, *results] == [n * n for n in range(12)]


def test_an_item_that_kills_every_worker_is_an_error_and_not_an_endless_wait(
    on_cluster: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_RETRIES", 0)
    with pytest.raises(StepFailed, match="a worker was lost"):
        list(on_cluster.map(ends_its_process, [1], ""))


def test_two_ways_to_a_cluster_at_once_are_refused(on_cluster: RayExecutor) -> None:
    results = on_cluster.map(slow_square, range(3), 0.0)
    next(results)
    with pytest.raises(StepFailed, match="at work on another Ray"):
        list(RayExecutor("127.0.0.1:1").map(slow_square, [1], 0.0))
    assert list(results) == [1, 4]


def test_a_cluster_that_is_not_there_is_named_at_once() -> None:
    with pytest.raises(StepFailed, match="no connection to Ray") as caught:
        list(RayExecutor("ray://127.0.0.1:1").map(slow_square, [1], 0.0))
    assert caught.value.where == "training.executor: ray://127.0.0.1:1"


def test_a_run_gives_the_same_model_to_the_bit_wherever_it_is_trained(
    ray_cluster: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", ray_cluster.address)
    settings = SETTINGS.replace("models: [logistic]", "models: [logistic, xgboost]")
    project = write(tmp_path / "project", settings=settings)
    for executor, where in ((SerialExecutor, "serial"), (ProcessesExecutor, "processes"), (RayExecutor, "ray")):
        workspace = project.open(f"training.executor={where}")
        assert isinstance(workspace.ports.executor, executor)
        trained = workspace.run(use_cache=False)
        assert trained.version == 1, f"{where} gave another model"


def test_a_file_is_scored_to_the_same_bytes_though_a_node_is_killed(
    ray_cluster: RayCluster, on_cluster: RayExecutor, tmp_path: Path
) -> None:
    table(600).drop("Churn", "risk", "level").write_parquet(tmp_path / "rows.parquet")
    source, told = ParquetSource(str(tmp_path / "rows.parquet")), list[int]()

    def tell(done: int) -> None:
        told.append(done)
        if len(told) == 2:
            ray_cluster.kill_node()

    here = bulk.here(scoring.unlogged(Snapshot(one(), {1: model()}), "score"))
    bulk.score(source, tmp_path / "here.parquet", here, "plan", lambda done: None, rows=20)
    there = scattered.elsewhere(on_cluster, scattered.job(bundle(), "digest", (), one().arms[0], "score"))
    ray_cluster.add_node()
    bulk.score(source, tmp_path / "there.parquet", there, "plan", tell, rows=20)
    assert told == list(range(20, 601, 20))
    assert (tmp_path / "there.parquet").read_bytes() == (tmp_path / "here.parquet").read_bytes()


OWN = """
from everfit.adapters.executors.ray import RayExecutor
from everfit.adapters.executors.ray_session import disconnect

print(list(RayExecutor(workers=2).map(pow, [1, 2, 3], 2)))
"""


def test_a_ray_of_its_own_is_started_and_ended_with_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", OWN], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "[2, 4, 8]\n"), done.stderr
