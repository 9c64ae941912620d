"""The usual drift rules, for who wants them: a fixed p-value or a fixed distance for each column.

None of them states how often it alarms on rows that did not move, so that is measured: pairs of samples are drawn from
the profile's own distributions, as many rows as the look has, and the rule is asked about each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.monitoring.drift import Tested, column_tests, recorded
from everfit.monitoring.profile import SAMPLE, column
from everfit.project.sections.monitoring import Drift
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.table import Kind
from everfit.records.watch import ColumnDrift

LOOKS = 60
_VALUES = 4_000_000  # that a measurement may draw in all
_TESTS = {"kolmogorov_smirnov", "chi_square", "fisher_exact"}


def by_rule(settings: Drift, found: Sequence[Tested]) -> tuple[ColumnDrift, ...]:
    """The tests of the columns' values as the rule judges them; it knows no missing values, ranges or other tests.

    `ks`: a p-value below `settings.p_value`, column by column. `jensen_shannon`, `psi`: above `settings.score`."""
    plain = [recorded(one) for one in found if one.outcome.test in _TESTS]
    return tuple(replace(one, adjusted=one.p_value, drifted=_drifted(settings, one)) for one in plain)


def measured(settings: Drift, profile: Profile, rows: int, seed: int = 0) -> float:
    """The share of simulated looks on which the rule alarms though nothing moved: both sides are drawn from the
    profile's own columns, `rows` of them now and as many as the profile has for the reference.

    At most 60 looks, and fewer for very large ones, but at least 10; samples above 100,000 rows are taken as that."""
    known = [c for c in profile.columns if c.sample or c.counts]
    sizes = {c.name: (min(c.rows, 100_000), min(rows, 100_000)) for c in known}
    drawn = sum(sum(pair) for pair in sizes.values())
    looks = max(10, min(LOOKS, _VALUES // max(drawn, 1)))
    generator = np.random.default_rng(seed)
    return sum(_look(settings, known, sizes, generator) for _ in range(looks)) / looks


def _look(
    settings: Drift,
    known: Sequence[ColumnProfile],
    sizes: dict[str, tuple[int, int]],
    generator: np.random.Generator,
) -> bool:
    for each in known:
        then, now = (_draw(each, size, generator) for size in sizes[each.name])
        kind = each.kind if each.kind is not Kind.DATE else Kind.NUMERIC
        one = Profile((column(each.name, then, kind, SAMPLE),), each, "", 0.0, 0)
        if any(drift.drifted for drift in by_rule(settings, column_tests(one, {each.name: now}))):
            return True
    return False


def _draw(known: ColumnProfile, rows: int, generator: np.random.Generator) -> NDArray[Any]:
    """Rows like those of the profile: uniformly between neighbours of the grid, so that they are as continuous, or as
    discrete, as the column was."""
    if known.counts is not None:
        weights = np.array(list(known.counts.values()), dtype=np.float64)
        names = np.array(list(known.counts), dtype=object)
        drawn: NDArray[Any] = names[generator.choice(len(names), rows, p=weights / weights.sum())]
        return drawn
    values: NDArray[Any] = np.asarray(known.sample)
    if known.kind is Kind.BOOLEAN or len(values) == known.rows - known.nulls or len(values) < 2:
        return values[generator.integers(0, len(values), rows)]
    place = generator.integers(0, len(values) - 1, rows)
    between: NDArray[Any] = values[place] + (values[place + 1] - values[place]) * generator.random(rows)
    return between


def _drifted(settings: Drift, one: ColumnDrift) -> bool:
    if settings.rule == "ks":
        return one.p_value < settings.p_value
    value = one.jensen_shannon if settings.rule == "jensen_shannon" else one.psi
    return value is not None and value > settings.score
