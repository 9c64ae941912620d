"""Drift row by row: an e-detector for every column, with a stated average run length.

A window of rows must fill before it is tested, and a small shift may hide in each of many. An e-detector (Shin, Ramdas
and Rinaldo 2024, "E-detectors: a nonparametric framework for sequential change detection") is looked at after every
row instead. It adds up, over all possible times of a change, what a bettor would have won since then who bets that the
mean of a bounded feature has moved; as long as it has not, the expected sum after n rows is at most n, so that the mean
number of rows until it first exceeds A is at least A, whatever the distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.monitoring import detector
from everfit.monitoring.columns import NUMBERS, Column, Floats, hashed, numbers
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.watch import StreamAlarm, StreamState

SHIFTS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
MOST_LEVELS = 12
_MOST_BET = 0.9


def watch(
    profile: Profile, columns: Mapping[str, Column], before: StreamState, run_length: float, tolerance: float
) -> tuple[StreamState, tuple[StreamAlarm, ...]]:
    """The detectors after the rows of `columns`, (rows,) each in their order, and the columns that crossed the bound.

    A numeric column has two features, where a value stands among the reference's, 0..1, and how far from the middle,
    so that shifts and spreads are seen; a categorical one has its levels; and every column whether a value is missing.
    Nothing has changed as long as the mean of each feature is within `tolerance` of the reference's, widened by two
    standard errors of the latter. The bound is `run_length` times the number of columns: the mean over all detectors
    is then one too, and the average number of rows to the first false alarm of any column at least `run_length`.
    A detector that alarmed begins anew.
    """
    after: dict[str, tuple[float, ...]] = {}
    alarms = []
    bound = run_length * max(len(profile.columns), 1)
    rows = max((len(columns[known.name]) for known in profile.columns), default=0)
    for known in profile.columns:
        values, means = features(known, columns[known.name])
        bets = _bets(means, tolerance + 2 * _error(known))
        start = np.array(before.sums.get(known.name, ()), dtype=np.float64)
        sums = start.reshape(bets.shape) if start.size == bets.size else np.zeros(bets.shape)
        gains = _gains(values, means, bets, tolerance + 2 * _error(known))
        row, peak, sums = detector.run(gains, sums, bound)
        if row is not None:
            alarms.append(StreamAlarm(known.name, row, peak))
        after[known.name] = tuple(sums.ravel().tolist())
    return replace(before, sums=after, rows=before.rows + rows), tuple(alarms)


def features(known: ColumnProfile, values: Column) -> tuple[Floats, Floats]:
    """(rows, features) within 0..1, and each feature's mean in the reference."""
    rows = max(known.rows, 1)
    if known.kind in NUMBERS:
        plain = numbers(values, known.kind)
        gone = np.isnan(plain)
        found = [gone.astype(np.float64)]
        means = [known.nulls / rows]
        if known.sample:
            place, expected = _places(np.asarray(known.sample), plain, gone)
            found += place
            means += expected
        return np.column_stack(found), np.array(means)
    text = (values if isinstance(values, pl.Series) else pl.Series(values.tolist(), dtype=pl.String)).cast(pl.String)
    counts = known.counts or {}
    if known.hashed:
        names = {level: next(iter(hashed({level: 1}))) for level in text.unique().drop_nulls().to_list()}
        text = text.replace_strict(names, default=None, return_dtype=pl.String)
    levels = sorted(counts, key=lambda level: -counts[level])[:MOST_LEVELS]
    present = [(text == level).fill_null(False).to_numpy().astype(np.float64) for level in levels]
    other = (~text.is_in(list(counts)) & text.is_not_null()).fill_null(False).to_numpy().astype(np.float64)
    means = [known.nulls / rows, 0.0, *(counts[level] / rows for level in levels)]
    return np.column_stack([text.is_null().to_numpy().astype(np.float64), other, *present]), np.array(means)


def _places(sample: Floats, values: Floats, gone: NDArray[np.bool_]) -> tuple[list[Floats], list[float]]:
    """Where values stand in the reference, ties at their middle, and how far from its middle; with the means of both
    over the reference itself. A missing value stands where the mean is: it says nothing."""

    def place(of: Floats) -> Floats:
        left, right = (np.searchsorted(sample, of, side=side) for side in ("left", "right"))
        middle: Floats = (left + right) / (2 * len(sample))
        return middle

    own = place(sample)
    spread = np.abs(2 * own - 1)
    means = [float(own.mean()), float(spread.mean())]
    at = np.where(gone, means[0], place(np.where(gone, sample[0], values)))
    far = np.where(gone, means[1], np.abs(2 * at - 1))
    return [at, far], means


def _error(known: ColumnProfile) -> float:
    """The greatest standard error that a mean of the reference can have for a feature spread evenly over 0..1."""
    return float(np.sqrt(1 / 12 / max(known.rows - known.nulls, 1)))


def _bets(means: Floats, tolerance: float) -> Floats:
    """(features, 2, bets): the stake for each shift that is bet on, upwards and downwards, best for that shift and
    never so high that one row could ruin the bettor."""
    variance = np.maximum(means * (1 - means), 0.0)[:, None]
    variance = np.where((means > 0.3)[:, None] & (means < 0.7)[:, None], np.minimum(variance, 1 / 12), variance)
    stakes = np.asarray(SHIFTS)[None, :] / np.maximum(variance + np.asarray(SHIFTS)[None, :] / 4, 1e-3)
    up = np.minimum(stakes, _MOST_BET / np.minimum(means + tolerance, 1.0)[:, None])
    down = np.minimum(stakes, _MOST_BET / np.minimum(1 - means + tolerance, 1.0)[:, None])
    return np.stack([up, down], axis=1)


def _gains(values: Floats, means: Floats, bets: Floats, tolerance: float) -> Iterator[Floats]:
    """What each bet wins on each row, block by block."""
    for begin in range(0, len(values), detector.BLOCK):
        part = values[begin : begin + detector.BLOCK]
        over = part - means - tolerance
        under = means - tolerance - part
        yield np.stack([over, under], axis=2)[:, :, :, None] * bets[None]
