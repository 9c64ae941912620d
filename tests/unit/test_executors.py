from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from everfit.adapters.executors import processes
from everfit.adapters.executors.processes import ProcessesExecutor
from everfit.adapters.executors.serial import SerialExecutor
from everfit.errors import StepFailed
from everfit.ports import Executor

EXECUTORS: list[Executor] = [SerialExecutor(), ProcessesExecutor(2)]
every_executor = pytest.mark.parametrize("executor", EXECUTORS, ids=lambda e: type(e).__name__)


def total(shared: NDArray[Any], item: int) -> float:
    return float(shared.sum()) + item


def slow_first(shared: float, item: int) -> int:
    if item == 0:
        time.sleep(shared)
    return item


def failing(shared: str, item: int) -> int:
    if item == 2:
        raise StepFailed("broke", where=shared, fix="mend it")
    return item


def mapped_pid(shared: NDArray[Any], item: int) -> tuple[bool, str | None, int]:
    return isinstance(shared, np.memmap), os.environ.get("OMP_NUM_THREADS"), os.getpid()


@every_executor
def test_results_come_in_the_order_of_the_items(executor: Executor) -> None:
    assert list(executor.map(slow_first, range(6), 0.05)) == list(range(6))


@every_executor
def test_shared_arrays_reach_every_item(executor: Executor) -> None:
    assert list(executor.map(total, [1, 2], np.ones(50_000))) == [50_001.0, 50_002.0]


@every_executor
def test_no_items_give_no_results(executor: Executor) -> None:
    assert list(executor.map(total, [], np.ones(1))) == []


@every_executor
def test_what_the_function_raises_arrives_as_itself(executor: Executor) -> None:
    with pytest.raises(StepFailed, match="broke") as caught:
        list(executor.map(failing, range(4), "here"))
    assert (caught.value.where, caught.value.fix) == ("here", "mend it")


@every_executor
def test_a_map_left_half_read_does_not_block_the_next(executor: Executor) -> None:
    results = executor.map(total, range(8), np.ones(1))
    assert next(results) == 1.0
    del results
    assert list(executor.map(total, [1], np.ones(1))) == [2.0]


@every_executor
def test_a_thread_may_map_and_two_take_turns(executor: Executor) -> None:
    found: dict[int, list[float]] = {}

    def run(number: int) -> None:
        found[number] = list(executor.map(total, range(number, number + 4), np.zeros(1)))

    threads = [threading.Thread(target=run, args=(number,)) for number in (10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {10: [10.0, 11.0, 12.0, 13.0], 20: [20.0, 21.0, 22.0, 23.0]}


def test_processes_map_large_arrays_and_compute_in_one_thread_elsewhere() -> None:
    seen = list(ProcessesExecutor(2).map(mapped_pid, range(4), np.ones(100_000)))
    assert {(mapped, threads) for mapped, threads, _ in seen} == {(True, "1")}
    assert os.getpid() not in {pid for _, _, pid in seen}


def busy(shared: float, item: int) -> int:
    until = time.thread_time() + shared
    while time.thread_time() < until:
        pass
    return os.getpid()


def test_little_work_is_done_here_and_much_of_it_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_used", [float("-inf")])
    executor = ProcessesExecutor(2, patience=0.5)
    assert set(executor.map(busy, range(4), 0.0)) == {os.getpid()}
    first, *rest = executor.map(busy, range(6), 0.2)
    assert first == os.getpid()
    assert os.getpid() not in rest
    assert os.getpid() not in executor.map(busy, range(2), 0.0)  # the workers are there


def test_a_second_map_in_the_same_thread_is_refused_instead_of_waiting_for_ever() -> None:
    executor = ProcessesExecutor(2)
    results = executor.map(total, range(8), np.ones(1))
    next(results)
    with pytest.raises(RuntimeError, match="last map"):
        list(executor.map(total, [1], np.ones(1)))
    assert len(list(results)) == 7


def test_a_worker_finds_modules_of_folders_added_to_the_path_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = ProcessesExecutor(1)
    list(executor.map(total, [1], np.ones(1)))
    (tmp_path / "late_module_for_workers.py").write_text("ANSWER = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert list(executor.map(import_answer, [0], "late_module_for_workers")) == [42]


def import_answer(shared: str, item: int) -> int:
    import importlib

    return int(importlib.import_module(shared).ANSWER) + item


PARENT = """
import os, time
from everfit.adapters.executors.processes import ProcessesExecutor

def pid_then_sleep(shared, item):
    if item:
        time.sleep(shared)
    return os.getpid()

if __name__ == "__main__":
    for pid in ProcessesExecutor(2).map(pid_then_sleep, [0, 1, 1], 600):
        print(pid, flush=True)
"""


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    assert _ends(lambda: _is_running(worker))


def _ends(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def ends_its_process(shared: str, item: int) -> int:
    os._exit(1)


def test_a_worker_that_dies_is_told_in_words_and_the_next_map_has_new_ones() -> None:
    with pytest.raises(StepFailed, match="a worker process ended"):
        list(ProcessesExecutor(2).map(ends_its_process, [1, 2], ""))
    assert list(ProcessesExecutor(2).map(slow_first, [1, 2], 0.0)) == [1, 2]
