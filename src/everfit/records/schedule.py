"""What runs by the clock, and what became of each time that came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Job(StrEnum):
    """What can be done by the clock."""

    DATA = "data"
    TRAINING = "training"
    MONITORING = "monitoring"


class Turnout(StrEnum):
    """What became of a time that came: it is `waited` for the first one, it has `begun`, or how it ended."""

    WAITED = "waited"
    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Slot:
    """A time of a job, and what became of it.

    `due` is the time itself, `at` when this was written, `attempt` the number of the try from 1, `text` what came of
    it; a failure with `retry` set is tried again then. `cron` in `zone` is the rule that the time came from. `times` is
    how many this record stands for: several where nobody was there for long. `done`, `failed` and `missed` count all so
    far, this one included."""

    job: Job
    cron: str
    zone: str
    due: datetime
    at: datetime
    turnout: Turnout
    attempt: int = 1
    text: str = ""
    retry: datetime | None = None
    times: int = 1
    done: int = 0
    failed: int = 0
    missed: int = 0
