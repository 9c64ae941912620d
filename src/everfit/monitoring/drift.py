"""Drift: which columns, shares of missing values and scores have moved since training."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from types import MappingProxyType

import numpy as np
import scipy

from everfit.errors import StepFailed
from everfit.monitoring.breaks import RANGE, UNSEEN, out_of_range, unseen
from everfit.monitoring.columns import Column, Floats, Present, hashed, numbers, present
from everfit.monitoring.distances import Distances, of_levels, of_numbers
from everfit.monitoring.two_sample import (
    Outcome,
    Reference,
    chi_square,
    kolmogorov_smirnov,
    mann_whitney,
    position,
    proportions,
    reference,
)
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.table import Kind
from everfit.records.watch import ColumnDrift, DriftReport

MISSING = "missing_values"
_WORTH_THREADS = 500_000  # values; below, starting threads costs more than it saves


@dataclass(frozen=True, slots=True)
class Floors:
    """The least effect that matters: of rows that moved, of rows outside what training saw, and by (column, test) what
    past windows have taught."""

    moved: float
    breaks: float = 0.005
    learned: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def of(self, column: str, test: str) -> float:
        """The floor of one test."""
        own = self.breaks if test in (RANGE, UNSEEN) else self.moved
        return max(own, self.learned.get((column, test), 0.0))


@dataclass(frozen=True, slots=True)
class Tested:
    """A column's test, and with that of its values the distances."""

    column: str
    outcome: Outcome
    distances: Distances | None = None


def drift(
    profile: Profile,
    columns: Mapping[str, Column],
    score: Floats | None,
    alpha: float,
    floors: Floors | float,
    since: datetime,
    until: datetime,
) -> DriftReport:
    """Every profiled column of `columns`, (rows,) each, and the model's `score`, (rows,), against the profile.

    Numeric columns and dates are held against it by the Kolmogorov-Smirnov and the Mann-Whitney test and by their
    range, boolean ones by Fisher's, categorical ones by chi-square and by levels never seen, and every column's share
    of missing values by Fisher's. The p-values are adjusted together (Benjamini and Hochberg 1995; see `judged`): on
    rows that come from the reference's distribution the chance that any column drifts is at most `alpha`, and the
    floors on the effect only lower it. The score is one test of its own, also at `alpha`. No rows, no tests.

    Raises StepFailed when a profiled column is not in `columns`.
    """
    floors = floors if isinstance(floors, Floors) else Floors(floors)
    found = column_tests(profile, columns)
    rows = max((len(columns[c.name]) for c in profile.columns), default=0 if score is None else len(score))
    scored = None if score is None else score_test(profile.score, score)
    return DriftReport(
        rows=rows,
        since=since,
        until=until,
        columns=judged(found, alpha, floors),
        score=None if scored is None else _alone(scored, alpha, floors),
        alpha=alpha,
        floor=floors.moved,
    )


def column_tests(
    profile: Profile, columns: Mapping[str, Column], whole: Mapping[str, Floats] = MappingProxyType({})
) -> list[Tested]:
    """Every test of every profiled column; exact for the columns whose reference values are at hand, all of them and
    sorted, in `whole`. Raises StepFailed when a profiled column is not in `columns`."""
    absent = [c.name for c in profile.columns if c.name not in columns]
    if absent:
        raise StepFailed(
            f"the current rows lack {', '.join(absent)}, which the model reads",
            where="drift",
            fix="log every column that the model reads, or train again without it",
        )
    pairs = [(known, columns[known.name]) for known in profile.columns]
    return [found for several in _each(partial(_column, whole), pairs) for found in several]


def judged(found: Sequence[Tested], alpha: float, floors: Floors) -> tuple[ColumnDrift, ...]:
    """The tests with their adjusted p-values: drifted are those at most `alpha` whose effect reaches its floor.

    Values that training never saw have a tenth of `alpha` to themselves, for their tests find what they look for at
    any level, and would only make it harder for the others."""
    breaks = [one.outcome.test in (RANGE, UNSEEN) for one in found]
    adjusted = np.ones(len(found))
    for part, kept in ((0.9, [not one for one in breaks]), (0.1, breaks)):
        if any(kept):
            p_values = [one.outcome.p_value for one, keep in zip(found, kept, strict=True) if keep]
            adjusted[kept] = np.minimum(scipy.stats.false_discovery_control(p_values) / part, 1.0)
    return tuple(
        replace(
            recorded(one),
            adjusted=float(p),
            floor=(floor := floors.of(one.column, one.outcome.test)),
            drifted=bool(p <= alpha and one.outcome.effect >= floor),
        )
        for one, p in zip(found, adjusted, strict=True)
    )


def _alone(one: Tested, alpha: float, floors: Floors) -> ColumnDrift:
    o, floor = one.outcome, floors.of(one.column, one.outcome.test)
    return replace(recorded(one), adjusted=o.p_value, floor=floor, drifted=o.p_value <= alpha and o.effect >= floor)


def worst(found: Sequence[Tested], alpha: float, floors: Floors) -> ColumnDrift | None:
    """One and the same thing tested in several windows, each at its share of `alpha`: the one farthest above its floor
    of those that drifted, or else the least likely one; None where it was not tested."""
    each = [_alone(one, alpha / len(found), floors) for one in found]
    told = [replace(one, adjusted=min(1.0, one.p_value * len(found))) for one in each]
    return max(told, key=lambda one: (one.drifted, one.effect - (one.floor or 0.0), -one.p_value), default=None)


def recorded(one: Tested) -> ColumnDrift:
    """The test as a record, not yet judged."""
    o, far = one.outcome, one.distances or Distances(None, None, None)
    return ColumnDrift(
        one.column,
        o.test,
        o.statistic,
        o.p_value,
        1.0,
        o.effect,
        False,
        wasserstein=far.wasserstein,
        jensen_shannon=far.jensen_shannon,
        psi=far.psi,
    )


def score_test(known: ColumnProfile, score: Floats) -> Tested | None:
    """The model's score by the Kolmogorov-Smirnov test; None where one side has none."""
    current = np.sort(numbers(score[~np.isnan(score)], Kind.NUMERIC))
    if not len(current) or not known.sample:
        return None
    ref = reference(known.sample, known.rows - known.nulls, known.slack)
    now = position(ref, current)
    return Tested(known.name, kolmogorov_smirnov(ref, now, current), of_numbers(ref, now, current))


def _each(
    work: Callable[[ColumnProfile, Column], list[Tested]], pairs: Sequence[tuple[ColumnProfile, Column]]
) -> Iterable[list[Tested]]:
    """The work on every column, in two threads where there is much: sorting does not hold the interpreter's lock, and
    more threads would hold more columns in memory."""
    known, values = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if sum(map(len, values)) < _WORTH_THREADS or (os.cpu_count() or 1) < 2:
        return map(work, known, values)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, known, values))


def _column(whole: Mapping[str, Floats], known: ColumnProfile, values: Column) -> list[Tested]:
    if not len(values) or not known.rows:
        return []
    now = present(values, known.kind)
    some = now.nulls < now.rows and known.nulls < known.rows
    found = _values(known, now, whole.get(known.name)) if some else []
    # Without a missing value on either side there is no test that could fail, and none to pay for.
    if now.nulls or known.nulls:
        found.append(Tested(known.name, proportions(MISSING, (known.nulls, known.rows), (now.nulls, now.rows))))
    return found


def _values(known: ColumnProfile, now: Present, whole: Floats | None) -> list[Tested]:
    rows = known.rows - known.nulls
    if now.ordered is not None:
        if known.kind is Kind.BOOLEAN:
            return [_flags(known, rows, now.ordered)]
        return _numbers(known, reference(known.sample if whole is None else whole, rows, known.slack), now.ordered)
    if known.counts is None or now.levels is None:
        return []
    levels = hashed(now.levels) if known.hashed else now.levels
    found = [Tested(known.name, chi_square(known.counts, levels), of_levels(known.counts, levels))]
    # Buckets of a hash have no names that could be new.
    return found if known.hashed else [*found, Tested(known.name, unseen(known.counts, levels))]


def _flags(known: ColumnProfile, rows: int, current: Floats) -> Tested:
    then, now = round((known.mean or 0.0) * rows), int(np.count_nonzero(current))
    outcome = proportions("fisher_exact", (then, rows), (now, len(current)))
    far = of_levels({"0": rows - then, "1": then}, {"0": len(current) - now, "1": now})
    return Tested(known.name, outcome, far)


def _numbers(known: ColumnProfile, ref: Reference, current: Floats) -> list[Tested]:
    now = position(ref, current)
    distance = kolmogorov_smirnov(ref, now, current)
    found = [
        Tested(known.name, distance, of_numbers(ref, now, current)),
        Tested(known.name, mann_whitney(ref, now, distance.effect)),
    ]
    if known.minimum is not None and known.maximum is not None:
        found.append(Tested(known.name, out_of_range(known.minimum, known.maximum, ref.rows, current)))
    return found
