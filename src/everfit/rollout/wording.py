"""How a finding is said: excess, bounds and margin in the unit that the project file uses."""

from __future__ import annotations

from everfit.records.release import Criterion, Finding

_NAMES = {
    Criterion.ERRORS: "error rate",
    Criterion.LATENCY: "p99 latency",
    Criterion.SCORES: "distance of the scores",
    Criterion.ACCURACY: "rate of wrong classes",
    Criterion.BRIER: "Brier score",
    Criterion.LOG_LOSS: "log loss",
    Criterion.MAE: "mean absolute error",
}
_SHARES = frozenset({Criterion.LATENCY, Criterion.MAE})
_POINTS = frozenset({Criterion.ERRORS, Criterion.SCORES, Criterion.ACCURACY})


def amount(criterion: Criterion, excess: float) -> str:
    """An excess with its sign and unit.

    >>> amount(Criterion.ERRORS, 0.0123), amount(Criterion.LATENCY, -0.2), amount(Criterion.LOG_LOSS, 0.01)
    ('+1.23 points', '-20%', '+0.01')
    """
    if criterion in _POINTS:
        return f"{100 * excess:+.3g} points"
    return f"{100 * excess:+.3g}%" if criterion in _SHARES else f"{excess:+.3g}"


def told(found: Finding) -> str:
    """The finding in a clause.

    >>> told(Finding(Criterion.ERRORS, 0.02, 0.012, 0.03, 0.005, 0.05, 0.05, True, False, 900, 100))
    'error rate +2 points, between +1.2 points and +3 points, +0.5 points allowed'
    """
    name, allowed = _NAMES[found.criterion], f"{amount(found.criterion, found.margin)} allowed"
    if found.estimate is None:
        return f"{name} unknown, {found.champion:,} and {found.challenger:,} observations of champion and challenger"
    low, high = (None if bound is None else amount(found.criterion, bound) for bound in (found.low, found.high))
    if low and high:
        between = f"between {low} and {high}"
    else:
        between = f"at least {low}" if low else f"at most {high}" if high else "without a bound yet"
    return f"{name} {amount(found.criterion, found.estimate)}, {between}, {allowed}"


def row(found: Finding) -> tuple[str, ...]:
    """The finding as cells: criterion, excess seen, its two bounds, what is allowed, and what is shown.

    >>> row(Finding(Criterion.ERRORS, 0.02, 0.012, None, 0.005, 0.05, 0.05, True, False, 900, 100))
    ('error rate', '+2 points', '+1.2 points', '?', '+0.5 points', 'worse')
    """
    values = (found.estimate, found.low, found.high, found.margin)
    shown = "worse" if found.worse else "fine" if found.fine else "nothing yet"
    cells = ("?" if value is None else amount(found.criterion, value) for value in values)
    return (_NAMES[found.criterion], *cells, shown)


def title(criterion: Criterion) -> str:
    """The criterion's name in words.

    >>> title(Criterion.LATENCY)
    'p99 latency'
    """
    return _NAMES[criterion]
