from __future__ import annotations

from pathlib import Path

from everfit.adapters.executors.processes import ProcessesExecutor
from everfit.adapters.executors.serial import SerialExecutor
from everfit.testing.contracts import ExecutorContract


class TestSerialExecutor(ExecutorContract):
    def make(self, folder: Path) -> SerialExecutor:
        return SerialExecutor()


class TestProcessesExecutor(ExecutorContract):
    def make(self, folder: Path) -> ProcessesExecutor:
        return ProcessesExecutor(workers=2)
