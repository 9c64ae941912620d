"""Drift: which columns, shares of missing values and scores have moved since training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from everfit.errors import StepFailed
from everfit.monitoring.columns import NUMBERS, Floats, counts, hashed, missing, numbers
from everfit.monitoring.two_sample import (
    Outcome,
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


def drift(
    profile: Profile,
    columns: Mapping[str, NDArray[Any]],
    score: Floats | None,
    alpha: float,
    floor: float,
    since: datetime,
    until: datetime,
) -> DriftReport:
    """Every profiled column of `columns`, (rows,) each, and the model's `score`, (rows,), against the profile.

    Numeric columns and dates are held against it by the Kolmogorov-Smirnov and the Mann-Whitney test, boolean ones by
    Fisher's, categorical ones by chi-square, and every column's share of missing values by Fisher's. The p-values of
    all of them are adjusted together (Benjamini and Hochberg 1995): on rows that come from the reference's
    distribution the chance that any column drifts is at most `alpha`, and the floor on the effect only lowers it. The
    score is one test of its own, also at `alpha`. No rows, no tests.

    Raises StepFailed when a profiled column is not in `columns`.
    """
    absent = [c.name for c in profile.columns if c.name not in columns]
    if absent:
        raise StepFailed(
            f"the current rows lack {', '.join(absent)}, which the model reads",
            where="drift",
            fix="log every column that the model reads, or train again without it",
        )
    found = [(c.name, o) for c in profile.columns for o in _outcomes(c, columns[c.name])]
    rows = max((len(columns[c.name]) for c in profile.columns), default=0 if score is None else len(score))
    return DriftReport(
        rows=rows,
        since=since,
        until=until,
        columns=_judged(found, alpha, floor),
        score=None if score is None else _score(profile.score, np.asarray(score, dtype=np.float64), alpha, floor),
        alpha=alpha,
        floor=floor,
    )


def _outcomes(reference: ColumnProfile, values: NDArray[Any]) -> list[Outcome]:
    if not len(values) or not reference.rows:
        return []
    nulls = missing(values, reference.kind)
    found = _values(reference, values, nulls) if nulls < len(values) and reference.nulls < reference.rows else []
    # Without a missing value on either side there is no test that could fail, and none to pay for.
    if nulls or reference.nulls:
        found.append(proportions(MISSING, (reference.nulls, reference.rows), (nulls, len(values))))
    return found


def _values(known: ColumnProfile, values: NDArray[Any], nulls: int) -> list[Outcome]:
    rows = known.rows - known.nulls
    if known.kind in NUMBERS:
        current = np.sort(numbers(values, known.kind))[: len(values) - nulls]
        if known.kind is Kind.BOOLEAN:
            return [proportions("fisher_exact", (round((known.mean or 0.0) * rows), rows), _true(current))]
        ref = reference(known.sample, rows)
        now = position(ref, current)
        distance = kolmogorov_smirnov(ref, now)
        return [distance, mann_whitney(ref, now, distance.effect)]
    if known.counts is None:
        return []
    levels = counts(values)
    return [chi_square(known.counts, hashed(levels) if known.hashed else levels)]


def _true(values: Floats) -> tuple[int, int]:
    return int(np.count_nonzero(values)), len(values)


def _score(known: ColumnProfile, score: Floats, alpha: float, floor: float) -> ColumnDrift | None:
    current = np.sort(numbers(score[~np.isnan(score)], Kind.NUMERIC))
    if not len(current) or not known.sample:
        return None
    ref = reference(known.sample, known.rows - known.nulls)
    outcome = kolmogorov_smirnov(ref, position(ref, current))
    return _judged([(known.name, outcome)], alpha, floor)[0]


def _judged(found: list[tuple[str, Outcome]], alpha: float, floor: float) -> tuple[ColumnDrift, ...]:
    if not found:
        return ()
    adjusted = scipy.stats.false_discovery_control([outcome.p_value for _, outcome in found])
    tested = [ColumnDrift(name, o.test, o.statistic, o.p_value, 1.0, o.effect, False) for name, o in found]
    return tuple(
        replace(test, adjusted=float(p), drifted=bool(p <= alpha and test.effect >= floor))
        for test, p in zip(tested, adjusted, strict=True)
    )
