"""Failed checks that are news: beyond the check's limit, and in more rows than in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy

from everfit.monitoring.two_sample import proportions
from everfit.records.quality import FailedCheck
from everfit.records.table import CheckResult, QualityReport


def failed(
    now: QualityReport, before: Sequence[CheckResult], rows: int, alpha: float, floor: float
) -> tuple[FailedCheck, ...]:
    """The checks that failed on the rows of `now`, each held against the same check `before`, on `rows` rows.

    A check that rows break as often as they did in training is no news, nor is one that they break more often by
    chance alone: each has a one-sided test of the two shares (Fisher's exact one, conservative), and the p-values of
    all checks with a count of rows on both sides are adjusted together (Benjamini and Hochberg 1995). News is a failed
    check with an adjusted p-value of at most `alpha` and a share that is larger by at least `floor`; so rows like the
    training's raise one with a chance of at most `alpha`, whatever the checks.

    >>> from everfit.records.table import Severity
    >>> def of(failed): return CheckResult("nulls", "age", False, Severity.WARNING, "", "at most 5.00%", failed)
    >>> then, now = of(60), QualityReport(500, (of(33),), 0.9)
    >>> [one.is_news for one in failed(now, (then,), 1_000, 0.01, 0.005)]
    [False]
    >>> [one.is_news for one in failed(QualityReport(500, (of(200),), 0.9), (then,), 1_000, 0.01, 0.005)]
    [True]
    """
    if not now.issues:
        return ()
    known = {_same(one): one.failed for one in before if one.failed is not None}
    counted = [one for one in now.results if one.failed is not None and _same(one) in known]
    p_values = [_chance(known[_same(one)] or 0, rows, one.failed or 0, now.rows) for one in counted]
    adjusted = scipy.stats.false_discovery_control(p_values) if counted else np.empty(0)
    judged = {_same(one): float(p) for one, p in zip(counted, adjusted, strict=True)}
    found = []
    for one in now.issues:
        share = one.failed / now.rows if one.failed is not None and now.rows else None
        then = known.get(_same(one))
        earlier = then / rows if then is not None and rows else None
        p = judged.get(_same(one))
        larger = share is not None and earlier is not None and share - earlier >= floor
        found.append(
            FailedCheck(
                one.check, one.column, one.severity, one.observed, one.expected, share, earlier, p,
                is_news=larger and p is not None and p <= alpha,
            )
        )  # fmt: skip
    return tuple(found)


def _same(one: CheckResult) -> tuple[str, str | None, str]:
    return one.check, one.column, one.expected


def _chance(had: int, then: int, has: int, now: int) -> float:
    """The p-value of "the share is no larger now"."""
    if not then or not now or has * then <= had * now:
        return 1.0
    return proportions("check", (had, then), (has, now)).p_value / 2
