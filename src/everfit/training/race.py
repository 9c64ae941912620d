"""A race of a family's settings on the folds: what falls behind gives up its place before it has cost much.

The first setting sees all folds. Then come settings of Optuna's, in batches of a fixed size. A batch runs fold by fold
(successive halving, Jamieson and Talwalkar 2016): after the first fold the better half goes on, and on every rung only
what is no worse than the family's best on the same folds (a race in pairs, Maron and Moore 1994). So the result depends
on the seed, and on nothing that differs between machines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from everfit.records.model import Candidate, Trial, TrialStatus
from everfit.training.draws import Params, Sampler
from everfit.training.rounds import stages
from everfit.training.scorers import Matrix
from everfit.training.trial import Job, Outcome, RunAll, Shared, trial

BATCH = 4
Tell = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Searched:
    """A family's search so far: its best setting, and the scores of the training rows by it, each fitted without the
    row: (rows, classes) or (rows,); empty where no setting worked."""

    candidate: Candidate
    held_out: NDArray[np.float64]


@dataclass(slots=True)
class Entrant:
    """A setting in the race: what came of it on each fold that it saw. `rounds` is the parameter whose value the folds
    choose, empty where they choose none."""

    shared: Shared
    params: Params
    rounds: str = ""
    seen: dict[int, Outcome] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """Why it failed; empty if it did not."""
        return next((outcome.error for outcome in self.seen.values() if outcome.error), "")

    def scores(self, folds: Sequence[int] | None = None) -> NDArray[np.float64]:
        """The metric on each of these folds, or of all seen, at the stage that is best on all that were seen."""
        stage = self.stage
        return np.array([self.seen[fold].scores[stage] for fold in sorted(self.seen) if folds is None or fold in folds])

    @property
    def stage(self) -> int:
        """The stage with the greatest mean over the folds seen, the earliest of equals, of those that all reached."""
        reached = zip(*(outcome.scores for outcome in self.seen.values()), strict=False)
        return int(np.mean(list(reached), axis=1).argmax())

    @property
    def final(self) -> Params:
        """The setting with the number of rounds chosen."""
        if not self.rounds or self.error:
            return self.params
        return {**self.params, self.rounds: self.job(0).stages[self.stage]}

    def job(self, fold: int) -> Job:
        """What is to be done on a fold."""
        if not self.rounds:
            return Job(self.params, fold)
        at = stages(self.params, self.shared.rows)
        return Job({**self.params, self.rounds: at[-1]}, fold, at)

    def record(self) -> Trial:
        """The trial as it is told."""
        family, seconds = self.shared.choice.name, sum(one.seconds for one in self.seen.values())
        if self.error:
            return Trial(family, self.params, (), TrialStatus.FAILED, seconds, self.error)
        status = TrialStatus.COMPLETE if len(self.seen) == len(self.shared.folds) else TrialStatus.PRUNED
        return Trial(family, self.final, tuple(self.scores().tolist()), status, seconds)

    def held_out(self) -> Matrix:
        """The scores of all training rows; all folds must have been seen."""
        stage = self.stage
        first = self.seen[0].held_out[stage]
        whole = np.empty((self.shared.rows, *first.shape[1:]))
        for fold, outcome in self.seen.items():
            whole[self.shared.folds[fold].rows] = outcome.held_out[stage]
        return whole


def first(shared: Shared, metric: str, run_all: RunAll) -> Searched:
    """The family's first setting on all folds. Never raises: a setting that fails is told as such."""
    family = shared.family.racing
    entrant = Entrant(shared, family.defaults, family.rounds)
    run([entrant], range(len(shared.folds)), run_all)
    return searched(shared, metric, [entrant], entrant)


def tune(
    shared: Shared,
    begun: Searched,
    trials: int,
    seconds: float | None,
    run_all: RunAll,
    tell: Tell = str,
) -> Searched:
    """The family's search after its first setting, `trials` settings in all.

    After `seconds` no new batch begins, and none once half of `trials` in a row got no further than the first fold.
    `tell` hears of the best so far after each batch. Never raises: a family of which nothing worked is a candidate
    that does not work.
    """
    family = shared.family.racing
    began, sampler = monotonic(), Sampler(family, shared.terms.seed)
    done, winner = list(begun.candidate.tried), begun
    sampler.tell(done[0], family.defaults)
    strong = [{**family.defaults, **family.strong}] if family.strong else []
    in_vain = 0
    while len(done) < trials and 2 * in_vain < trials and (seconds is None or monotonic() - began < seconds):
        batch = sampler.ask(min(BATCH, trials - len(done)), strong)
        strong = []
        if not batch:
            break
        entrants = [Entrant(shared, setting, family.rounds) for setting in batch]
        winner = _raced(shared, entrants, winner, run_all)
        for entrant in entrants:
            done.append(entrant.record())
            sampler.tell(done[-1], entrant.params)
        if winner.candidate.works:
            tell(f"{shared.choice.name}: {abs(winner.candidate.score):.4f} is the best of {len(done)} settings")
        behind = all(len(entrant.seen) == 1 for entrant in entrants)
        in_vain = in_vain + len(entrants) if behind else 0
    return replace(winner, candidate=_counted(winner.candidate, done))


def _raced(shared: Shared, entrants: Sequence[Entrant], winner: Searched, run_all: RunAll) -> Searched:
    """The batch on one rung after the other; the winner is the best of those that saw all folds."""
    left, folds = list(entrants), range(len(shared.folds))
    rungs = [folds[:1], folds[1 : 1 + (len(folds) - 1) // 2], folds[1 + (len(folds) - 1) // 2 :]]
    for number, rung in enumerate(rung for rung in rungs if rung):
        run(left, rung, run_all)
        left = [one for one in left if not one.error]
        if rung[-1] != folds[-1]:
            left = _ahead(left, winner, rung[-1] + 1, halve=number == 0)
    for one in left:
        found = searched(shared, winner.candidate.metric, [one], one)
        if found.candidate.score > winner.candidate.score:
            winner = found
    return winner


def _ahead(left: Sequence[Entrant], winner: Searched, folds: int, halve: bool) -> list[Entrant]:
    """Those that go on: the better half, and of these only what is no worse than the winner on the same folds."""
    bar = np.mean(winner.candidate.scores[:folds]) if winner.candidate.works else -np.inf
    ranked = sorted(left, key=lambda one: -one.scores().mean())
    kept = ranked[: -(-len(ranked) // 2)] if halve else ranked
    return [one for one in kept if one.scores().mean() >= bar]


def run(entrants: Sequence[Entrant], folds: Sequence[int], run_all: RunAll) -> None:
    """Runs every entrant on these folds."""
    places = [(one, fold) for one in entrants for fold in folds]
    if not places:
        return
    jobs = [one.job(fold) for one, fold in places]
    for (one, fold), outcome in zip(places, run_all(trial, jobs, places[0][0].shared), strict=True):
        one.seen[fold] = outcome


def searched(shared: Shared, metric: str, tried: Sequence[Entrant], best: Entrant) -> Searched:
    """The outcome of a search that tried these; one that does not work where the best of them failed."""
    records = [one.record() for one in tried]
    name, params = shared.choice.name, best.final
    if best.error:
        return Searched(_counted(Candidate(name, params, metric, -np.inf, 0.0, 0), records), np.empty(0))
    scores = best.scores()
    found = Candidate(name, params, metric, float(scores.mean()), float(scores.std()), 0, scores=tuple(scores.tolist()))
    return Searched(_counted(found, records), best.held_out())


def _counted(candidate: Candidate, tried: Sequence[Trial]) -> Candidate:
    failed = sum(one.status is TrialStatus.FAILED for one in tried)
    return replace(candidate, trials=len(tried), failed=failed, tried=tuple(tried))
