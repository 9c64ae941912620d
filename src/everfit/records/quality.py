"""Data quality over time: the checks of training on what came afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from everfit.records.table import Severity


class Origin(StrEnum):
    """Where rows came from: the prediction log, or the source of a training run."""

    PREDICTIONS = "predictions"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check that rows broke: `share` of them now, and `before` in the training of the champion, 0..1 each (None
    where the check is not about single rows, or that training did not have it).

    `adjusted` is the p-value of "no larger a share than in training" after Benjamini-Hochberg over all checks of the
    look. `is_news` says that it is worth an alarm."""

    check: str
    column: str | None
    severity: Severity
    observed: str
    expected: str
    share: float | None = None
    before: float | None = None
    adjusted: float | None = None
    is_news: bool = False


@dataclass(frozen=True, slots=True)
class QualityLook:
    """All checks on the rows of one window or run. `score` is as in `QualityReport`, 0..1; `checks` how many there
    were; `alpha` the chance that rows like the training's raise an alarm. `about` is the version that answered, or
    the run."""

    at: datetime
    origin: Origin
    rows: int
    score: float
    checks: int
    failed: tuple[FailedCheck, ...]
    alpha: float
    about: str

    @property
    def news(self) -> tuple[FailedCheck, ...]:
        """The failed checks that are worth an alarm."""
        return tuple(one for one in self.failed if one.is_news)
