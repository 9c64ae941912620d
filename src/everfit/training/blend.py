"""A blend of models: a weighted mean of their scores, the weights chosen on scores of rows that none of them had seen.

Greedy ensemble selection with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes 2004): one model after the other
is added, each time the one with which the mean is best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.records.model import Candidate, Member, Param
from everfit.training.race import Searched
from everfit.training.scorers import Matrix, mixed
from everfit.training.trial import Fold, Measure

NAME = "blend"
_ADDED = 12  # so a weight is a twelfth at least
_ROWS = 5_000  # of a fold


def blend(every: Sequence[Searched], folds: Sequence[Fold], measure: Measure) -> Searched | None:
    """The blend of the families' best settings, judged as they are: on each fold with the weights that were chosen on
    the other folds. None where fewer than two families work, or one model alone is best."""
    working = [one for one in every if one.candidate.works]
    if len(working) < 2:
        return None
    held_out = [one.held_out for one in working]
    parts = [_Part(fold.y_valid, [scores[fold.rows] for scores in held_out], measure) for fold in folds]
    fewer = [part.fewer() for part in parts]
    weights = _select(fewer)
    if np.count_nonzero(weights) < 2:
        return None
    others = [_select([part for part in fewer if part is not held]) for held in fewer]
    scores = tuple(part.score(chosen) for part, chosen in zip(parts, others, strict=True))
    members = tuple(
        Member(one.candidate.family, one.candidate.params, float(weight))
        for one, weight in zip(working, weights, strict=True)
        if weight
    )
    shares: dict[str, Param] = {member.family: member.weight for member in members}
    metric = working[0].candidate.metric
    mean, spread = float(np.mean(scores)), float(np.std(scores))
    candidate = Candidate(NAME, shares, metric, mean, spread, 1, scores=scores, members=members)
    return Searched(candidate, mixed(weights.tolist(), held_out))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A fold's validation rows, scored by every model; `known` are blends of them, by how often each was added."""

    y: NDArray[Any]
    scores: Sequence[Matrix]
    measure: Measure
    known: dict[tuple[float, ...], float] = field(default_factory=dict)

    def score(self, counts: NDArray[np.float64]) -> float:
        """The metric of the blend with weights in these proportions."""
        key = tuple(counts.tolist())
        if key not in self.known:
            self.known[key] = self.measure(self.y, mixed((counts / counts.sum()).tolist(), self.scores))
        return self.known[key]

    def fewer(self) -> _Part:
        """Some of the rows, evenly spread: enough to tell weights apart."""
        every = np.linspace(0, len(self.y) - 1, min(_ROWS, len(self.y))).astype(np.intp)
        return _Part(self.y[every], [scores[every] for scores in self.scores], self.measure)


def _select(parts: Sequence[_Part]) -> NDArray[np.float64]:
    """(models,) weights that add up to 1: the best of those passed on the way to the last model added."""
    counts = np.zeros(len(parts[0].scores))
    best, chosen = -np.inf, counts
    for _ in range(_ADDED):
        tried = [counts + unit for unit in np.eye(len(counts))]
        means = [fmean(part.score(one) for part in parts) for one in tried]
        at = int(np.argmax(means))
        counts = tried[at]
        if means[at] > best:
            best, chosen = means[at], counts
    weights: NDArray[np.float64] = chosen / chosen.sum()
    return weights
