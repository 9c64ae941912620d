"""A run of a pipeline, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """How a run or a step ended, or that it has not."""

    RUNNING = "running"
    DONE = "done"
    CACHED = "cached"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of a run: `key` identifies inputs, settings and code, `output` is the artifact's content hash, `why`
    says why the step was a hit or a miss."""

    name: str
    status: Status
    key: str
    output: str
    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run with its steps in the order they ended; `pid` is the process that runs it on the machine `host`, `error`
    what a person should read when it failed."""

    id: str
    pipeline: str
    status: Status
    started_at: datetime
    ended_at: datetime | None = None
    steps: tuple[StepRecord, ...] = ()
    error: str | None = None
    pid: int = 0
    host: str = ""
