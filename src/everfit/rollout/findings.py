"""A criterion after a look: is the challenger shown to be worse than its margin, or shown not to be; and the bounds.

Evidence against a challenger is gathered from the release's start with half of the chance that is allowed, and anew
from each later step with a share of the rest, so that a fault that shows only under more traffic is not outweighed by
the good that came before it. The bounds hold at every look together, each but for its level's chance: a confidence
sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from everfit.project.sections.release import Verdict
from everfit.records.release import Criterion, Finding
from everfit.rollout.betting import log_sum
from everfit.rollout.criteria import Judged, Scale, Steps, judged

_BISECTIONS = 30


@dataclass(frozen=True, slots=True)
class Levels:
    """The chances of a wrong statement: that one criterion finds a challenger worse that is not, and that it finds one
    fine that is not. `steps` is how many the release has."""

    worse: float
    fine: float
    steps: int

    @classmethod
    def of(cls, settings: Verdict, steps: int, challengers: int = 1) -> Levels:
        """The chance of a false roll-back is shared by the criteria. That of a false promotion is not: whoever is
        promoted was found fine by all of them, so also by the one that it is worse by. Both are shared by the
        challengers of a test."""
        alpha = (1 - settings.confidence) / challengers
        return cls(alpha / len(settings.margins), alpha, steps)


def finding(criterion: Criterion, margin: float, seen: Steps, scale: Scale, levels: Levels) -> Finding:
    """What the steps so far say; neither worse nor fine where an arm gave no observation."""
    one = judged(criterion, scale)
    champion, challenger = (
        sum(one.observed(getattr(step, arm)) for step in seen) for arm in ("champion", "challenger")
    )
    found = Finding(criterion, None, None, None, margin, levels.worse, levels.fine, False, False, champion, challenger)
    if not champion or not challenger:
        return found
    worse = against(one, seen, levels)
    for_it = _for(one, seen, levels)
    return Finding(
        criterion,
        one.estimate(seen),
        _edge(worse, one.span, rising=False),
        _edge(for_it, one.span, rising=True),
        margin,
        levels.worse,
        levels.fine,
        worse(margin),
        for_it(margin),
        champion,
        challenger,
    )


def against(one: Judged, seen: Steps, levels: Levels) -> Callable[[float], bool]:
    """Whether the excess is shown to be more than so much."""
    starts = range(min(len(seen), levels.steps))
    shares = np.full(len(starts), 0.5 / max(1, levels.steps - 1))
    shares[0] = 0.5 if levels.steps > 1 else 1.0
    if not levels.worse:
        return lambda excess: False

    def holds(excess: float) -> bool:
        found = np.array([one.worse(seen[start:], excess) for start in starts])
        return bool(log_sum(found + np.log(shares)) >= -np.log(levels.worse))

    return holds


def _for(one: Judged, seen: Steps, levels: Levels) -> Callable[[float], bool]:
    """Whether the excess is shown to be less than so much."""
    return lambda excess: bool(one.fine(seen, excess) >= -np.log(levels.fine))


def _edge(holds: Callable[[float], bool], span: tuple[float, float], rising: bool) -> float | None:
    """Where a statement about the excess ceases to hold: it holds above (`rising`), or below; None if nowhere."""
    low, high = span
    if not holds(high if rising else low):
        return None
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) == rising else (middle, high)
    return high if rising else low
