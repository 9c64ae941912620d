"""Randomised search: every setting on every fold (Bergstra and Bengio 2012), as scikit-learn's RandomizedSearchCV."""

from __future__ import annotations

from everfit.training.draws import draws
from everfit.training.race import Entrant, Searched, Tell, run, searched
from everfit.training.trial import RunAll, Shared


def search(shared: Shared, metric: str, trials: int, run_all: RunAll, tell: Tell = str) -> Searched:
    """The family's best setting by the mean of the metric over the folds; the earlier draw wins a tie. Nothing is
    pruned, and the number of rounds is drawn like any other value. Never raises: a family of which nothing worked is
    a candidate that does not work."""
    entrants = [Entrant(shared, setting) for setting in draws(shared.family, trials, shared.terms.seed)]
    run(entrants, range(len(shared.folds)), run_all)
    working = [one for one in entrants if not one.error]
    best = max(working, key=lambda one: one.scores().mean()) if working else entrants[0]
    found = searched(shared, metric, entrants, best)
    if working:
        tell(f"{shared.choice.name}: {abs(found.candidate.score):.4f} is the best of {len(entrants)} settings")
    return found
