"""Predictions by when they were made, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Cohort:
    """The predictions of a day, or of a week from Monday on, both in UTC: how many there were, how many of them are
    due (`matured`), and how many of those have a label. `value` is the metric on the latter, between bounds that hold
    with 95% together; None where there are too few. `late` labels came after they were due."""

    start: datetime
    predictions: int
    matured: int
    labelled: int
    late: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def coverage(self) -> float | None:
        """The share of matured predictions that have a label, 0..1; None when none has matured."""
        return self.labelled / self.matured if self.matured else None


@dataclass(frozen=True, slots=True)
class Cohorts:
    """The cohorts of one version, oldest first; `expected` is the metric in its test."""

    version: int
    metric: str
    expected: float
    cohorts: tuple[Cohort, ...]

    @property
    def coverage(self) -> float | None:
        """That of all of them together."""
        matured = sum(one.matured for one in self.cohorts)
        return sum(one.labelled for one in self.cohorts) / matured if matured else None
