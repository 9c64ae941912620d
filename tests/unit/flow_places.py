"""A runner in a folder of its own, and somebody who remembers what it was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from everfit.adapters.artifacts.folder import FolderArtifacts
from everfit.adapters.state.sqlite import SqliteState
from everfit.flow.graph import Step, graph
from everfit.flow.run import Given, Run, Runner, runs, setting
from everfit.records.run import RunRecord, StepRecord


@dataclass
class Told:
    """A Progress that keeps everything."""

    steps: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def step(self, name: str, status: str, seconds: float, why: str) -> None:
        self.steps.append((name, status))

    def note(self, text: str) -> None:
        self.notes.append(text)


class Place:
    """Stores in a folder, and runs of steps on them."""

    def __init__(self, folder: Path) -> None:
        self.artifacts = FolderArtifacts(folder / "artifacts")
        self.state = SqliteState(folder / "state.db")
        self.scratch = folder / "scratch"
        self.told = Told()

    def run(self, *steps: Step, use_cache: bool = True, threads: int = 2, **given: object) -> Run:
        """Runs the steps; plain values become settings."""
        values: Mapping[str, Given] = {n: v if isinstance(v, Given) else setting(v) for n, v in given.items()}
        runner = Runner(self.artifacts, self.state, self.told, self.scratch, ("everfit", "tests"), threads)
        return runner.run(graph(steps, values.keys()), values, pipeline="test", use_cache=use_cache)

    def last(self) -> RunRecord:
        """The newest run's record."""
        return runs(self.state)[-1]


def named(record: RunRecord) -> dict[str, StepRecord]:
    """The record's steps by name."""
    return {step.name: step for step in record.steps}


def why(record: RunRecord) -> dict[str, str]:
    """Why each step ran or did not."""
    return {step.name: step.why for step in record.steps}


def status(record: RunRecord) -> dict[str, str]:
    """How each step ended."""
    return {step.name: step.status.value for step in record.steps}
