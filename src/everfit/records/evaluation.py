"""What is known about a model's figures beyond the figures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Interval:
    """The 95% confidence interval of a metric on the test rows."""

    low: float
    high: float


class Verdict(StrEnum):
    """What a paired comparison of two models says, with the chance of 2.5% of being wrong in either direction."""

    BETTER = "better"
    NO_WORSE = "no worse"
    WORSE = "worse"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Difference:
    """Two models on the same `rows`, by one metric.

    `difference` is challenger minus champion, turned so that above 0 is better also for losses; `low` and `high` bound
    its 95% interval, and `room` is how much worse still counts as no worse, in the same unit.
    """

    metric: str
    challenger: float
    champion: float
    difference: float
    low: float
    high: float
    room: float
    rows: int

    @property
    def verdict(self) -> Verdict:
        """`better`: all of the interval is above 0; `no worse`: above the room; `worse`: all of it below; else open."""
        if self.low > 0:
            return Verdict.BETTER
        if self.low >= -self.room:
            return Verdict.NO_WORSE
        return Verdict.WORSE if self.high < -self.room else Verdict.CANNOT_TELL
