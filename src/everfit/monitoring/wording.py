"""Findings in words: which column moved, how far, and from what to what."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from everfit.monitoring.breaks import RANGE, UNSEEN
from everfit.monitoring.columns import Column, Floats, counts, missing, numbers
from everfit.monitoring.drift import MISSING
from everfit.monitoring.phrases import share
from everfit.monitoring.profile import moments
from everfit.records.profile import ColumnProfile
from everfit.records.table import Kind
from everfit.records.watch import ColumnDrift


def chance(p_value: float) -> str:
    """A p-value as people read it.

    >>> chance(0.0321), chance(1e-30)
    ('p = 0.032', 'p < 1e-12')
    """
    return "p < 1e-12" if p_value < 1e-12 else f"p = {p_value:.2g}"


def moved(found: ColumnDrift, known: ColumnProfile, values: Column) -> str:
    """One drifted column of (rows,) current `values` in one clause, with the figures of both sides.

    >>> found = ColumnDrift("age", "kolmogorov_smirnov", 0.5, 1e-9, 1e-8, 0.5, True)
    >>> moved(found, ColumnProfile("age", Kind.NUMERIC, 9, 0, mean=40.0, std=2.0), np.array([60.0, 62.0]))
    'age moved: 50% of rows, p = 1e-08; mean was 40, now 61'
    """
    if found.test == MISSING:
        then, now = known.nulls / known.rows, missing(values, known.kind) / len(values)
        word = "rose" if now > then else "fell"
        return (
            f"{known.name}: missing values {word} from {share(then)} to {share(now)} of rows, {chance(found.adjusted)}"
        )
    if found.test == RANGE:
        return (
            f"{known.name}: {share(found.effect)} of rows outside the training's range "
            f"{known.minimum:.4g} to {known.maximum:.4g}, {chance(found.adjusted)}"
        )
    if found.test == UNSEEN:
        return (
            f"{known.name}: {share(found.effect)} of rows hold levels never seen in training, {chance(found.adjusted)}"
        )
    return f"{known.name} moved: {share(found.effect)} of rows, {chance(found.adjusted)}{_figures(known, values)}"


def _figures(known: ColumnProfile, values: Column) -> str:
    if known.kind is Kind.CATEGORICAL:
        return "" if known.hashed else _levels(known.counts or {}, counts(values))
    mean, std = moments(numbers(values, known.kind))
    if known.mean is None or mean is None:
        return ""
    if known.kind is Kind.BOOLEAN:
        return f"; true was {share(known.mean)}, now {share(mean)}"
    if known.kind is Kind.DATE:
        return f"; mean was {_day(known.mean)}, now {_day(mean)}"
    spread_only = known.std is not None and std is not None and abs(mean - known.mean) < 0.02 * known.std
    if spread_only:
        return f"; standard deviation was {known.std:.4g}, now {std:.4g}"
    return f"; mean was {known.mean:.4g}, now {mean:.4g}"


def _day(seconds: float) -> str:
    return str(np.datetime64(round(seconds), "s").astype("datetime64[D]"))


def _levels(then: Mapping[str, int], now: Mapping[str, int]) -> str:
    """The level that moved most, and how many rows hold levels that training never saw."""
    before, after = _shares(then), _shares(now)
    most = max(sorted(before.keys() | after.keys()), key=lambda level: abs(_change(level, before, after)))
    unseen = sum(part for level, part in after.items() if level not in before)
    words = f"; {most!r} was {share(before.get(most, 0.0))}, now {share(after.get(most, 0.0))}"
    return words + (f"; {share(unseen)} of rows hold levels never seen in training" if unseen else "")


def _shares(rows: Mapping[str, int]) -> dict[str, float]:
    total = sum(rows.values())
    return {level: count / total for level, count in rows.items()}


def _change(level: str, before: Mapping[str, float], after: Mapping[str, float]) -> float:
    return after.get(level, 0.0) - before.get(level, 0.0)


def scores(known: ColumnProfile, values: Floats) -> str:
    """The score's mean then and now; empty where there is none."""
    mean, _ = moments(values)
    return "" if known.mean is None or mean is None else f"; mean was {known.mean:.3g}, now {mean:.3g}"
