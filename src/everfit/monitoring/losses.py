"""Whether the losses on labels, one after the other, have grown since the test: looked at as often as one likes.

A window of labels must fill before its metric means anything, and a fall that begins within it is diluted. A detector
of the mean loss takes each label when it counts. It bets that the mean has risen; `detector` adds up what it wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from everfit.monitoring import detector
from everfit.monitoring.columns import Floats
from everfit.records.profile import LossKind, LossProfile
from everfit.records.table import Task
from everfit.records.watch import LossReport, LossState, Rise

# Rises that are bet on, in standard deviations of a single loss.
RISES = (0.05, 0.1, 0.2, 0.4, 0.8)
_MOST_BET = 0.9
_SURE = 2.33  # standard errors that the test's mean may be off: 99%, one-sided


class _Lasting(TypedDict):
    since: datetime | None
    lasting: bool


_OF_LABELS = ("accuracy", "precision", "recall", "f1")


def kind(task: Task, metric: str) -> LossKind:
    """The loss of a row that goes with a metric: wrong or right for metrics of predicted classes, Brier's for those of
    probabilities, and for regression the absolute error with mae, the squared one otherwise.

    >>> kind(Task.BINARY, "roc_auc").value, kind(Task.MULTICLASS, "f1_macro").value, kind(Task.REGRESSION, "mae").value
    ('brier', 'error', 'absolute')
    """
    if task is Task.REGRESSION:
        return LossKind.ABSOLUTE if metric == "mae" else LossKind.SQUARED
    if metric.startswith(_OF_LABELS):
        return LossKind.ERROR
    return LossKind.BRIER_OF_CLASSES if task is Task.MULTICLASS else LossKind.BRIER


def losses(of: LossKind, score: Floats, truth: NDArray[Any], right: NDArray[Any]) -> Floats:
    """(rows,) losses of predictions whose `truth` is known: the place of a class, or a number.

    `score` is the probability of the positive class, (rows, classes) those of several, or the predicted number; `right`
    says whether the predicted class was.

    Models made before kept the Brier loss of several classes as that of the predicted one and whether it was right:
    `score` is then its probability, and `truth` is `right`.

    >>> two = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    >>> losses(LossKind.BRIER_OF_CLASSES, two, np.array([0, 1]), np.array([True, True])).tolist()
    [0.375, 0.0]
    """
    if of is LossKind.ERROR:
        return 1.0 - right.astype(np.float64)
    if of is LossKind.BRIER_OF_CLASSES:
        apart: Floats = score - np.eye(score.shape[1])[truth.astype(np.int64)]
        squared: Floats = (apart**2).sum(axis=1)
        return squared
    apart = np.abs(score - truth.astype(np.float64))
    return apart if of is LossKind.ABSOLUTE else apart**2


def baseline(of: LossKind, test: Floats) -> LossProfile | None:
    """What is kept of the losses (rows,) of the test; None for fewer than two."""
    if len(test) < 2:
        return None
    return LossProfile(of, len(test), float(test.mean()), float(test.std(ddof=1)), float(test.max()))


def watch(
    known: LossProfile,
    found: Floats,
    before: LossState,
    tolerance: float,
    run_length: float,
    times: Sequence[datetime] = (),
) -> tuple[LossState, LossReport]:
    """The detector after the losses `found` (labels,), in the order in which they counted; `times` are those of their
    predictions, for the time of the change.

    Nothing has fallen as long as the expected loss, whatever came before, is at most the test's by more than
    `tolerance` (points for wrong or right, else a share of the test's mean), widened by 2.33 standard errors of the
    latter. Losses beyond the greatest of the test count as that: one outlier is no change. The average number of labels
    to the first false alarm is then at least `run_length`.

    The change is dated by the bettor that has won most since its last low, to where it began to win: with bets as
    likelihood ratios, Page's (1954) estimate of the time of a change.

    >>> steady = LossProfile(LossKind.ERROR, 2_000, 0.2, 0.4, 1.0)
    >>> generator = np.random.default_rng(1)
    >>> same, worse = ((generator.random(3_000) < share).astype(float) for share in (0.2, 0.3))
    >>> [watch(steady, one, LossState(1), 0.02, 1e5)[1].degraded for one in (same, worse)]
    [False, True]
    """
    greatest = known.greatest or 1.0
    allowed = known.mean + tolerance * (1.0 if known.kind is LossKind.ERROR else known.mean)
    null = min((allowed + _SURE * known.std / np.sqrt(known.rows)) / greatest, 0.999)
    spread = max(known.std / greatest, 1e-3)
    sizes = np.asarray(RISES) * spread
    bets = np.minimum(sizes / (spread**2 + sizes**2), _MOST_BET / null)
    scaled = np.minimum(found / greatest, 1.0)
    sums = np.array(before.sums) if len(before.sums) == len(bets) else np.zeros(len(bets))
    row, peak, sums = detector.run(_gains(scaled, null, bets), sums, run_length)
    rises = _risen(scaled, null, bets, before.rises, times)
    labels, total = before.labels + len(found), before.total + float((scaled * greatest).sum())
    after = LossState(before.version, before.at, before.place, labels, total, tuple(sums.tolist()), rises)
    recent = float((scaled * greatest).mean()) if len(found) else None
    return after, LossReport(
        known.kind,
        recent,
        known.mean,
        len(found),
        labels,
        peak,
        run_length,
        degraded=row is not None,
        **_lasting(rises, run_length),
    )


def _risen(
    scaled: Floats, null: float, bets: Floats, before: Sequence[Rise], times: Sequence[datetime]
) -> tuple[Rise, ...]:
    """What each bettor has won since its last low, as a logarithm, and from which prediction on."""
    if not len(times) or len(times) != len(scaled):
        return tuple(before)
    start = before if len(before) == len(bets) else [Rise(0.0, None)] * len(bets)
    return tuple(_rise(np.log1p((scaled - null) * bet), one, times) for bet, one in zip(bets, start, strict=True))


def _rise(won: Floats, before: Rise, times: Sequence[datetime]) -> Rise:
    path = np.concatenate([[before.won], before.won + np.cumsum(won)])
    low = len(path) - 1 - int(path[::-1].argmin())
    if path[low] > 0:
        return Rise(float(path[-1]), before.since or times[0])
    return Rise(float(path[-1] - path[low]), times[low] if low < len(times) else None)


def _lasting(rises: Sequence[Rise], run_length: float) -> _Lasting:
    """Whether one bettor, from one time on, has won what all of them, from all times, need for an alarm: its share of
    the detector is then beyond the bound by itself, so that it happens falsely no more often than an alarm."""
    best = max(rises, key=lambda one: one.won, default=None)
    if best is None or best.since is None:
        return {"since": None, "lasting": False}
    return {"since": best.since, "lasting": bool(best.won >= np.log(run_length * len(rises)))}


def _gains(values: Floats, null: float, bets: Floats) -> Iterator[Floats]:
    for begin in range(0, len(values), detector.BLOCK):
        part = values[begin : begin + detector.BLOCK]
        yield (part - null)[:, None] * bets[None]
