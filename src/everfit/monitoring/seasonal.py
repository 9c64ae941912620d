"""Like with like: each day against the same weekdays before it, or each hour against the same hours before it.

Traffic that differs from weekday to weekday, or by the hour, differs from any fixed reference without anything being
wrong; and days differ from each other by more than the sampling of their rows. So a window is held against the pooled
windows of its own phase, and how far an ordinary window is from its peers is learned from the past ones: each of them
is held against the others of its phase, and a new one must be farther off than they foretell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl
import scipy

from everfit.monitoring.columns import numbers
from everfit.monitoring.drift import Tested, column_tests
from everfit.monitoring.joint import EVERY, LEAST_ROWS, halves, told_apart
from everfit.monitoring.profile import column
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.table import Kind

Seasonal = Literal["weekday", "hour"]

LENGTH = {"weekday": timedelta(days=1), "hour": timedelta(hours=1)}
LEAST_PEERS = 2
LEAST_WINDOWS = 10
MOST_WINDOWS = 60  # that the floors are learned from, the newest ones
# Of all columns together: the newest windows that there are to be held against, and the rows of each that are taken.
MOST_TOGETHER, ROWS_TOGETHER = 240, 2_000
_EPOCH = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday


@dataclass(frozen=True, slots=True)
class Phased:
    """A window of rows: when it began, and its columns."""

    start: datetime
    columns: Mapping[str, pl.Series]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return max(map(len, self.columns.values()), default=0)


# How a window is held against its peers.
Held = Callable[[Phased, Sequence[Phased]], Sequence[Tested]]


def windows(table: pl.DataFrame, time: str, seasonal: Seasonal, until: datetime) -> list[Phased]:
    """The table's rows by day or hour (UTC), oldest first; a window that is not over at `until` is left out."""
    length = LENGTH[seasonal]
    number = (pl.col(time).dt.epoch("us") - int(_EPOCH.timestamp() * 1e6)) // int(length.total_seconds() * 1e6)
    parts = table.with_columns(number.alias("\0window")).partition_by("\0window", as_dict=True, maintain_order=True)
    found = [
        Phased(_EPOCH + int(key[0]) * length, {c.name: c for c in part.drop("\0window", time)})
        for key, part in parts.items()
    ]
    return sorted((one for one in found if one.start + length <= until), key=lambda one: one.start)


def phase(start: datetime, seasonal: Seasonal) -> int:
    """The weekday from 0 (Monday), or the hour of the day.

    >>> phase(datetime(2026, 1, 1, 13, tzinfo=UTC), "weekday"), phase(datetime(2026, 1, 1, 13, tzinfo=UTC), "hour")
    (3, 13)
    """
    return start.weekday() if seasonal == "weekday" else start.hour


def name(start: datetime, seasonal: Seasonal) -> str:
    """A window's name for people.

    >>> name(datetime(2026, 1, 1, tzinfo=UTC), "weekday")
    'Thu 2026-01-01'
    """
    return f"{start:%a %Y-%m-%d}" if seasonal == "weekday" else f"{start:%Y-%m-%d %H}h"


def of_columns(kinds: Sequence[ColumnProfile]) -> Held:
    """By every test of every column against all rows of the peers."""

    def held(one: Phased, peers: Sequence[Phased]) -> Sequence[Tested]:
        made, whole = [], {}
        for known in kinds:
            values = pl.concat([peer.columns[known.name] for peer in peers])
            made.append(column(known.name, values, known.kind))
            if made[-1].sample:
                whole[known.name] = np.sort(numbers(values.drop_nulls(), known.kind))
        return column_tests(Profile(tuple(made), made[0], "", 0.0, 0), one.columns, whole)

    return held


def of_score(name: str = "score") -> Held:
    """By the Kolmogorov-Smirnov test of the column of that name: the score is one test."""
    every = of_columns((ColumnProfile(name, Kind.NUMERIC, 0, 0),))
    return lambda one, peers: [found for found in every(one, peers) if found.outcome.test == "kolmogorov_smirnov"]


def of_all(windows: Sequence[Phased], seed: int = 0) -> Held:
    """By a classifier of all columns, fitted on half of the rows of each; of the newest 240 `windows`, encoded here
    once. One that is too small for it, or is not among them, is held against nothing.

    Columns are ranked within their window: that each of many columns is a little off is what ordinary days are like,
    and would hide that they no longer go together, which the columns' own tests cannot see."""
    kept = [one for one in windows if one.rows >= LEAST_ROWS][-MOST_TOGETHER:]
    found = halves([one.columns for one in kept], ROWS_TOGETHER, seed, ranked_within=True)
    known = {one.start: half for one, half in zip(kept, found, strict=True)}

    def held(one: Phased, peers: Sequence[Phased]) -> Sequence[Tested]:
        others = [known[peer.start] for peer in peers if peer.start in known]
        if one.start not in known or len(others) < LEAST_PEERS:
            return []
        return [Tested(EVERY, told_apart(known[one.start], others))]

    return held


def against_peers(current: Phased, past: Sequence[Phased], held: Held, seasonal: Seasonal) -> Sequence[Tested] | None:
    """The tests of the window against those of its phase before it; None with fewer than two of those."""
    peers = [one for one in past if phase(one.start, seasonal) == phase(current.start, seasonal)]
    peers = [one for one in peers if one.start < current.start and one.rows]
    if len(peers) < LEAST_PEERS or not current.rows:
        return None
    return held(current, peers)


def learned(
    past: Sequence[Phased], held: Held, seasonal: Seasonal, alpha: float
) -> Mapping[tuple[str, str], float] | None:
    """For each column and test the effect that an ordinary window stays below, with a chance of `alpha` of going
    beyond it on any of them; None when fewer than ten past windows have peers.

    Effects of past windows, each against the others of its phase, are taken as log-normal; the floor is the upper
    prediction bound for one more (Student's t; Whitmore 1986) at `alpha` over the number of tests. A bound from few
    windows is wide: that is the price of not knowing better. The spread is pooled over all tests of the same kind, so
    that a column which was calm by luck gets no bound that is too narrow."""
    found: dict[tuple[str, str], list[float]] = {}
    compared = 0
    for one in past[-MOST_WINDOWS:]:
        peers = [p for p in past if p is not one and phase(p.start, seasonal) == phase(one.start, seasonal) and p.rows]
        if len(peers) < LEAST_PEERS or not one.rows:
            continue
        tests = held(one, peers)
        compared += bool(tests)
        for test in tests:
            found.setdefault((test.column, test.outcome.test), []).append(max(test.outcome.effect, 1e-4))
    if compared < LEAST_WINDOWS:
        return None
    return {key: _bound(key, found, alpha / len(found)) for key in found}


def _bound(key: tuple[str, str], found: Mapping[tuple[str, str], list[float]], alpha: float) -> float:
    logs = np.log(found[key])
    alike = [np.std(np.log(v), ddof=1) for (_, test), v in found.items() if test == key[1] and len(v) > 2]
    spread = max(float(np.median(alike)) if alike else 0.0, float(np.std(logs, ddof=1)) if len(logs) > 2 else 0.0)
    reach = float(scipy.stats.t.isf(alpha, max(len(logs) - 1, 1))) * spread * np.sqrt(1 + 1 / len(logs))
    return float(min(1.0, np.exp(logs.mean() + reach)))
