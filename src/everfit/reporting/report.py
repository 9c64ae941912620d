"""What the report of a project's production shows, as records: gathered elsewhere, drawn by `page`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from everfit.records.cohorts import Cohorts
from everfit.records.quality import QualityLook
from everfit.records.schedule import Slot
from everfit.records.shape import Shape
from everfit.records.watch import Alarm, ColumnDrift, MonitorReport, Retraining


@dataclass(frozen=True, slots=True)
class ColumnView:
    """A column with its tests in the window and its distribution; no shape where it is `personal` or undrawable."""

    name: str
    tests: tuple[ColumnDrift, ...]
    shape: Shape | None
    personal: bool = False

    @property
    def drifted(self) -> bool:
        """Whether one of its tests says so."""
        return any(test.drifted for test in self.tests)

    @property
    def worst(self) -> ColumnDrift | None:
        """The test to be shown: one that drifted before one that did not, then by effect."""
        return max(self.tests, key=lambda test: (test.drifted, test.effect), default=None)

    @property
    def weight(self) -> tuple[bool, float, float, float]:
        """What columns are ordered by: drifted, its part of the estimated loss, of the score's move, the rows moved."""
        worst = self.worst
        if worst is None:
            return False, 0.0, 0.0, 0.0
        cost = max((test.cost or 0.0 for test in self.tests), default=0.0)
        influence = max((test.influence or 0.0 for test in self.tests), default=0.0)
        return self.drifted, round(cost, 4), round(influence, 2), worst.effect


@dataclass(frozen=True, slots=True)
class Day:
    """What was asked on a day (UTC): predictions, how many failed, how many labels are due and how many are there."""

    day: date
    predictions: int
    errors: int
    due: int
    labelled: int


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `looks` are the last ones, oldest first; `columns` and `score` are about the `rows` predictions of
    `version` between `since` and `until`, which the newest drift test was about; `tolerance` is how far the metric may
    fall. `quality` is that of the training table, `checked` what the checks found in windows and runs since, oldest
    first, and `cohorts` how the predictions of each week turned out."""

    project: str
    environment: str
    at: datetime
    version: int | None = None
    family: str = ""
    rows: int = 0
    since: datetime | None = None
    until: datetime | None = None
    columns: tuple[ColumnView, ...] = ()
    score: ColumnView | None = None
    looks: tuple[MonitorReport, ...] = ()
    days: tuple[Day, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    retrainings: tuple[Retraining, ...] = ()
    slots: tuple[Slot, ...] = ()
    tolerance: float = 0.0
    higher_is_better: bool = True
    quality: float | None = None
    checked: tuple[QualityLook, ...] = ()
    cohorts: Cohorts | None = None
