"""Which families go on, and which model is taken in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from everfit.errors import StepFailed
from everfit.records.model import Candidate
from everfit.training.built_in import FAMILIES, Kind
from everfit.training.noise import is_ahead, is_worth_it

# From the simplest: a weight or a curve a column, interactions, several models at once.
_SUMS = {Kind.LINEAR, Kind.ADDITIVE}
_SUM, _SINGLE, _BLEND = 0, 1, 2


def going(firsts: Sequence[Candidate], kinds: Mapping[str, Kind]) -> tuple[str, ...]:
    """The families that search on, after each has tried its first setting: those that are not worse than the best by
    more than a standard error, and of one kind only the best, for libraries that grow the same trees differ less than
    settings do. One whose first setting failed searches on too."""
    working = [one for one in firsts if one.works]
    if not working:
        return tuple(one.family for one in firsts)
    leader = max(working, key=lambda one: one.score)
    best = {kinds.get(one.family, one.family): one.family for one in sorted(working, key=lambda one: one.score)}
    return tuple(
        one.family
        for one in firsts
        if not one.works or (one.family in best.values() and (one is leader or not is_ahead(leader.scores, one.scores)))
    )


def select(candidates: Sequence[Candidate], simplest: bool) -> Candidate:
    """The candidate to be trained for good: the greatest mean score, the earlier of equals, a blend only if it is
    better than every single model beyond noise and by enough to be worth it. With `simplest`, that candidate has to be
    so much better than the best of the simpler ones too; where it is not, these are taken. Raises StepFailed when no
    candidate works.
    """
    single = max((one for one in candidates if not one.members), key=lambda one: one.score)
    if not single.works:
        errors = "\n".join(f"  {c.family}: {next(t.error for t in c.tried if t.error)}" for c in candidates)
        raise StepFailed(
            f"no setting of any family could be trained and judged on all folds; the first errors:\n{errors}",
            where="training.models",
            fix="correct the models' params or the data that they read",
        )
    chosen = next((one for one in candidates if one.members and is_worth_it(one.scores, single.scores)), single)
    for rank in range(rank_of(chosen)) if simplest else ():
        simpler = [one for one in candidates if one.works and rank_of(one) == rank]
        best = max(simpler, key=lambda one: one.score, default=None)
        if best is not None and not is_worth_it(chosen.scores, best.scores):
            return best
    return chosen


def rank_of(candidate: Candidate) -> int:
    """How simple its kind is, 0 the simplest."""
    if candidate.members:
        return _BLEND
    entry = FAMILIES.get(candidate.family)
    return _SUM if entry and entry.kind in _SUMS else _SINGLE
