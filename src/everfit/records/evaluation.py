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


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the test rows: those with the `level` of the `column`.

    `value` is the metric on its `rows` with its interval; `difference` is that against all other rows, turned so that
    below 0 is worse also for losses, `error` its standard error, `p_value` that of being worse by chance, alone;
    `marked` says that it is worse beyond chance among all parts. `stated` and `observed` are the mean score and the
    mean target (for a binary target its positive share); None for several classes.
    """

    column: str
    level: str
    rows: int
    value: float
    interval: Interval
    difference: float
    error: float
    p_value: float
    stated: float | None
    observed: float | None
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Slices:
    """The worst parts by `metric`, worst first, of `judged` ones; `small` more were too small to say anything."""

    metric: str
    worst: tuple[Slice, ...]
    judged: int
    small: int

    @property
    def marked(self) -> tuple[Slice, ...]:
        """The parts that are worse beyond chance."""
        return tuple(one for one in self.worst if one.marked)


class LeakKind(StrEnum):
    """What may let the target, or the test rows, into the features."""

    PREDICTS_ALONE = "predicts alone"
    IDENTIFIER = "identifier"
    FUTURE = "from the future"
    REPEATED = "repeated rows"


@dataclass(frozen=True, slots=True)
class LeakageWarning:
    """Something that looks like leakage; `column` is None where it is about whole rows."""

    kind: LeakKind
    column: str | None
    reason: str
