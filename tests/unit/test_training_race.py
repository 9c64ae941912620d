from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.training_folds import (
    FOREST,
    IN_TURN,
    LIGHTGBM,
    LOGISTIC,
    TERMS,
    folds,
    negative_rmse,
    not_a_number,
    shared,
    timeless,
)

from everfit.adapters.executors.processes import ProcessesExecutor
from everfit.errors import StepFailed
from everfit.project.sections.training import ModelChoice
from everfit.records.model import Candidate, TrialStatus
from everfit.records.table import Task
from everfit.training import fit as fitting
from everfit.training import race
from everfit.training.draws import draws
from everfit.training.families import names, resolve
from everfit.training.fit import Sample, Terms, fit
from everfit.training.race import Searched
from everfit.training.rounds import stages
from everfit.training.scorers import scorer
from everfit.training.search import search
from everfit.training.trial import Job, Outcome, RunAll, Shared, trial


def raced(of: Shared, trials: int = 8, run_all: RunAll = IN_TURN, seconds: float | None = None) -> Searched:
    return race.tune(of, race.first(of, "log_loss", run_all), trials, seconds, run_all)


def made_up(score: Callable[[Job], float | None], seen: list[Job] | None = None) -> Callable[..., Iterable[Outcome]]:
    """An executor that makes up the scores; None is a failure."""

    def run_all(_trial: object, jobs: Sequence[Job], of: Shared) -> Iterable[Outcome]:
        for job in jobs:
            if seen is not None:
                seen.append(job)
            found = score(job)
            held = np.full((1, len(of.folds[job.fold].rows), 2), found or 0.0)
            yield Outcome((), np.empty(0), 0.0, "broke") if found is None else Outcome((found,), held, 0.5)

    return run_all


def depth(job: Job) -> float:
    return float(str(job.params["max_depth"]))


def test_the_first_setting_sees_every_fold() -> None:
    of = shared(parts=folds(number=4))
    found = race.first(of, "log_loss", IN_TURN)
    table = [trial(of, Job(of.family.defaults, fold)).scores[0] for fold in range(4)]
    assert found.candidate.scores == tuple(table)
    assert found.candidate.score == pytest.approx(np.mean(table))
    assert found.candidate.params == of.family.defaults
    assert [one.status for one in found.candidate.tried] == [TrialStatus.COMPLETE]


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("choice", [LOGISTIC, LIGHTGBM], ids=lambda one: one.name)
def test_out_of_fold_scores_are_those_of_models_that_never_saw_the_row(choice: ModelChoice, classes: int) -> None:
    task = {1: Task.REGRESSION, 2: Task.BINARY, 3: Task.MULTICLASS}[classes]
    terms = Terms(task, ("a", "b", "c")[:classes] if classes > 1 else (), 7)
    of = replace(shared(choice, folds(classes, number=4)), terms=terms)
    of = replace(of, measure=negative_rmse) if classes == 1 else of
    found = raced(of)
    assert found.held_out.shape == ((80,) if classes == 1 else (80, classes))
    for fold in of.folds:
        model = fit(found.candidate, choice, terms, Sample.plain(fold.x_train, fold.y_train))
        np.testing.assert_allclose(found.held_out[fold.rows], scorer(model).score(fold.x_valid), rtol=1e-6)


def test_after_the_first_fold_the_better_half_goes_on_and_then_what_keeps_up_with_the_best() -> None:
    seen: list[Job] = []
    of = shared(FOREST, folds(number=5))
    found = raced(of, 9, made_up(lambda job: depth(job) + job.fold / 100, seen))
    per_setting = [len(one.scores) for one in found.candidate.tried]
    assert per_setting[0] == 5
    assert 1 in per_setting[1:]
    assert sum(per_setting) == len(seen) < 5 * len(per_setting)
    assert found.candidate.params["max_depth"] == 14


def test_a_pruned_trial_is_never_chosen_however_good_its_first_fold_was() -> None:
    of = shared(FOREST, folds(number=5))
    found = raced(of, 12, made_up(lambda job: 0.5 if depth(job) == 10 else (0.6 if job.fold == 0 else 0.1)))
    pruned = [one for one in found.candidate.tried if one.status is TrialStatus.PRUNED]
    assert pruned
    assert max(one.mean for one in pruned) > 0.2
    assert found.candidate.score == pytest.approx(0.5)


def test_failing_settings_are_counted_and_never_chosen() -> None:
    of = shared(ModelChoice(name="logistic", space={"C": (-1.0, 0.5)}))
    found = raced(of).candidate
    assert (found.failed, found.trials) == (1, 3)
    assert found.params["C"] in (1.0, 0.5)
    assert [(one.scores, one.params["C"]) for one in found.tried if one.error] == [((), -1.0)]


def test_a_first_setting_that_fails_does_not_end_the_search() -> None:
    of = shared(ModelChoice(name="logistic", params={"max_iter": 500}, space={"C": (0.5, 2.0)}))
    found = raced(of, 8, made_up(lambda job: None if job.params["C"] == 1.0 else float(str(job.params["C"])))).candidate
    assert (found.works, found.failed, found.params["C"]) == (True, 1, 2.0)


@pytest.mark.parametrize("find", [raced, lambda of: search(of, "log_loss", 3, IN_TURN)], ids=["race", "random"])
def test_a_family_of_which_nothing_works_is_told_with_the_reason(find: Callable[[Shared], Searched]) -> None:
    found = find(shared(ModelChoice(name="logistic", params={"C": -1.0}, space={}))).candidate
    assert not found.works
    assert "'C' parameter" in found.tried[0].error


def test_a_metric_that_is_not_a_number_is_a_failure() -> None:
    assert raced(shared(measure=not_a_number)).candidate.tried[0].error == "the metric was nan"


@pytest.mark.parametrize("choice", [LOGISTIC, FOREST, LIGHTGBM, ModelChoice(name="xgboost")], ids=lambda one: one.name)
def test_processes_and_serial_find_the_same_bits(choice: ModelChoice) -> None:
    found = [timeless(raced(shared(choice), 6, run_all)) for run_all in (IN_TURN, ProcessesExecutor(2).map)]
    assert found[0] == found[1]


def test_large_folds_reach_the_workers_as_read_only_maps() -> None:
    choice = ModelChoice(name="gradient_boosting", params={"n_estimators": 3})
    found = raced(shared(choice, folds(rows=12_000)), 2, ProcessesExecutor(2).map)
    assert found.candidate.failed == 0


def test_no_batch_begins_after_the_seconds_are_over() -> None:
    found = raced(shared(FOREST), 40, made_up(depth), seconds=1e-9)
    assert found.candidate.trials == 1
    assert raced(shared(FOREST), 40, made_up(depth), seconds=60).candidate.trials > 20


@pytest.mark.parametrize("trials", [1, 2, 7])
def test_the_budget_of_trials_is_kept(trials: int) -> None:
    assert raced(shared(FOREST), trials, made_up(lambda _: 1.0)).candidate.trials == trials


def test_somebody_is_told_of_the_best_so_far() -> None:
    told: list[str] = []
    of = shared(FOREST)
    race.tune(of, race.first(of, "log_loss", made_up(depth)), 9, None, made_up(depth), told.append)
    assert [text.rpartition(" is ")[2] for text in told] == ["the best of 5 settings", "the best of 9 settings"]
    assert told[-1].startswith("random_forest: 14.0000")


def test_random_search_sees_every_fold_with_every_setting() -> None:
    of = shared(parts=folds(number=3))
    found = search(of, "log_loss", 5, IN_TURN).candidate
    assert [len(one.scores) for one in found.tried] == [3] * 5
    assert [one.params for one in found.tried] == draws(of.family, 5, 7)
    assert found.score == max(one.mean for one in found.tried)


BOOSTING = [name for name in names() if resolve(ModelChoice(name=name), Task.BINARY, 0).rounds]


@pytest.mark.parametrize("name", BOOSTING)
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_the_score_after_some_rounds_is_that_of_a_model_of_so_many_rounds(name: str, classes: int) -> None:
    task = {1: Task.REGRESSION, 2: Task.BINARY, 3: Task.MULTICLASS}[classes]
    of = replace(shared(ModelChoice(name=name), folds(classes)), terms=Terms(task, ("a", "b", "c")[:classes], 3))
    of = replace(of, measure=negative_rmse) if classes == 1 else of
    family = of.family.racing
    at = stages(family.defaults, 80)[:3]
    found = trial(of, Job({**family.defaults, family.rounds: at[-1]}, 0, at))
    for stage, rounds in enumerate(at):
        alone = trial(of, Job({**family.defaults, family.rounds: rounds}, 0))
        np.testing.assert_allclose(found.held_out[stage], alone.held_out[0], rtol=1e-6)


def test_the_number_of_rounds_is_the_best_mean_over_the_folds_of_those_that_all_reached() -> None:
    of = shared(LIGHTGBM, folds(rows=300, number=3))
    found = race.first(of, "log_loss", IN_TURN).candidate
    at = stages(of.family.defaults, 300)
    curves = [trial(of, Job({**of.family.defaults, "n_estimators": at[-1]}, fold, at)).scores for fold in range(3)]
    reached = min(map(len, curves))
    best = int(np.mean([curve[:reached] for curve in curves], axis=0).argmax())
    assert 0 < best < len(at) - 1
    assert found.params["n_estimators"] == at[best]


@pytest.mark.parametrize(("trials", "tried"), [(8, 5), (16, 9), (4, 4)])
def test_a_search_ends_once_half_of_its_trials_in_a_row_got_no_further_than_the_first_fold(
    trials: int, tried: int
) -> None:
    first = resolve(FOREST, Task.BINARY, 7).racing.defaults
    found = raced(shared(FOREST, folds(number=5)), trials, made_up(lambda job: 1.0 if job.params == first else 0.5))
    assert [len(one.scores) for one in found.candidate.tried] == [5, *[1] * (tried - 1)]


@pytest.mark.parametrize("given", [{"params": {"n_estimators": 17}}, {"space": {"n_estimators": (17,)}}])
def test_a_number_of_rounds_that_is_given_is_not_chosen(given: dict[str, Any]) -> None:
    of = shared(ModelChoice.model_validate({"name": "lightgbm", **given}))
    found = raced(of, 3).candidate
    assert all(one.params["n_estimators"] in (17, 150) for one in found.tried)


@pytest.mark.parametrize("name", names())
def test_a_class_without_rows_in_a_fold_gets_probability_zero(name: str) -> None:
    fold = folds(classes=3)[0]
    keep = fold.y_train != 1
    fold = replace(fold, x_train=fold.x_train[keep], y_train=fold.y_train[keep])
    seen: list[NDArray[np.float64]] = []

    def look(y: NDArray[Any], scores: NDArray[np.float64]) -> float:
        seen.append(scores)
        return 0.0

    of = Shared(ModelChoice(name=name), (fold,), Terms(Task.MULTICLASS, ("a", "b", "c"), 0), look)
    assert trial(of, Job({}, 0)).scores == (0.0,)
    assert seen[0].shape == (40, 3)
    assert not seen[0][:, 1].any()
    assert seen[0][:, 2].all()


@pytest.mark.parametrize("name", names())
def test_the_final_fit_is_the_same_to_the_bit_on_any_number_of_cores(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_CELLS_A_THREAD", 100)
    fold = folds(rows=400)[0]
    choice, sample = ModelChoice(name=name), Sample.plain(fold.x_train, fold.y_train)
    found = Candidate(name, draws(resolve(choice, Task.BINARY, 3), 2, 3)[1], "log_loss", 0.0, 0.0, 1)
    scores = [scorer(fit(found, choice, TERMS, sample, cores)).score(fold.x_valid) for cores in (1, 2)]
    assert scores[0].tobytes() == scores[1].tobytes()


def test_a_fit_that_raises_names_the_model() -> None:
    fold = folds()[0]
    found = Candidate("logistic", {"C": -1.0}, "log_loss", 0.0, 0.0, 1)
    with pytest.raises(StepFailed, match="fitting raised") as caught:
        fit(found, LOGISTIC, TERMS, Sample.plain(fold.x_train, fold.y_train))
    assert "logistic" in caught.value.where
