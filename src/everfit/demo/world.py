"""The world around the project: customers who come, a change that nobody announces, truths that are known days later.

The clock is simulated and ends at last midnight, so that the demo's project looks, afterwards, like one that has been
running for a month. All times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from everfit.testing.churn import ENTITY, TARGET, TIME, Drift, customers, labels

DAYS = 30
DELAY = timedelta(days=6)
WEEK = timedelta(days=7)
DRIFT_DAY = 15
# How far back the warehouse's table reaches: labels of at most a week are in it.
WINDOW = timedelta(days=13)


@dataclass
class Clock:
    """A time that passes when told to, and never backwards."""

    now: datetime

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def until(self, moment: datetime) -> None:
        """Lets time pass."""
        self.now = max(self.now, moment)


@dataclass
class World:
    """Customers of a seeded world, `rows` a week, from `start` on."""

    rows: int
    seed: int
    start: datetime
    _known: list[pl.DataFrame] = field(default_factory=list)
    _met: list[pl.DataFrame] = field(default_factory=list)

    @property
    def drift_at(self) -> datetime:
        """When charges rise, long contracts end, and what makes a customer leave turns round."""
        return self.start + timedelta(days=DRIFT_DAY)

    def history(self) -> pl.DataFrame:
        """The customers of before, whose truths are all known at `start`."""
        days = (WINDOW - WEEK).days - 1
        return self._meet(customers(self.rows, self.seed, self.start - WINDOW, days, seasonal=False))

    def traffic(self, rows: int, since: datetime, days: int) -> pl.DataFrame:
        """New customers, oldest first, with the truths that nobody knows yet."""
        drift = [Drift("covariate", 1.0, self.drift_at), Drift("concept", 1.0, self.drift_at)]
        number = len(self._met)
        first = sum(frame.height for frame in self._met)
        return self._meet(customers(rows, self.seed + number, since, days, drift, seasonal=False, first=first))

    def labels(self, now: datetime) -> pl.DataFrame:
        """What is known of all customers by then: customer_id, churn, known_at."""
        return pl.concat(self._known).filter(pl.col("known_at") <= now)

    def export(self, path: Path, now: datetime) -> pl.DataFrame:
        """Writes the table as a warehouse would have it by then: the customers of the last days whose truth is known.
        The file is replaced at once, so that no reader sees half of it."""
        known = self.labels(now).select(ENTITY)
        recent = pl.concat(self._met).filter(pl.col(TIME) >= now - WINDOW).join(known, on=ENTITY, how="semi")
        table = recent.sort(TIME, ENTITY)
        table.write_parquet(path.with_suffix(".new"))
        path.with_suffix(".new").rename(path)
        return table

    def _meet(self, frame: pl.DataFrame) -> pl.DataFrame:
        self._met.append(frame)
        self._known.append(labels(frame, DELAY, self.seed + len(self._known)))
        return frame


def month_before_midnight(now: datetime) -> datetime:
    """The first moment of the story: a month before the last midnight.

    >>> month_before_midnight(datetime(2026, 3, 31, 18, 5, tzinfo=UTC)).isoformat()
    '2026-03-01T00:00:00+00:00'
    """
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)


def requests(frame: pl.DataFrame) -> pl.DataFrame:
    """The customers as a caller knows them: without the truth, and without the moment, which is now."""
    return frame.drop(TARGET, TIME)
