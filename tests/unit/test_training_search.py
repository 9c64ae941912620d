from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from everfit.adapters.executors.processes import ProcessesExecutor
from everfit.adapters.executors.serial import SerialExecutor
from everfit.errors import StepFailed
from everfit.project.sections.training import Budget, ModelChoice
from everfit.records.model import Candidate, TrialStatus
from everfit.records.table import Task
from everfit.training import fit as fitting
from everfit.training.families import names, resolve
from everfit.training.fit import Sample, Terms, fit
from everfit.training.scorers import scorer
from everfit.training.search import Fold, Job, Measure, Outcome, Shared, draws, out_of_fold, search, trial


def negative_log_loss(y: NDArray[Any], scores: NDArray[np.float64], floor: float = 1e-9) -> float:
    return float(np.log(np.maximum(scores[np.arange(len(y)), y], floor)).mean())


def not_a_number(y: NDArray[Any], scores: NDArray[np.float64]) -> float:
    return float("nan")


IN_TURN = SerialExecutor().map
TERMS = Terms(Task.BINARY, ("no", "yes"), 7)
MEASURE = partial(negative_log_loss, floor=1e-6)


def folds(classes: int = 2, rows: int = 80, number: int = 2) -> list[Fold]:
    random = np.random.default_rng(1)
    x = random.normal(size=(rows, 3))
    y = np.digitize(x[:, 0] + random.normal(size=rows) / 2, np.linspace(-0.5, 0.5, classes - 1)).astype(np.int64)
    held = [np.arange(rows) % number == i for i in range(number)]
    return [Fold(x[~h], y[~h], np.empty(0), x[h], y[h], np.flatnonzero(h), np.array(["a", "b", "c"])) for h in held]


def run(
    choice: ModelChoice,
    run_all: Callable[..., Iterable[Outcome]] = IN_TURN,
    measure: Measure = MEASURE,
    seed: int = 7,
    parts: Sequence[Fold] | None = None,
    trials: int = 4,
) -> Candidate:
    budget = Budget(trials=trials, folds=2)
    parts = folds() if parts is None else parts
    return search(choice, parts, replace(TERMS, seed=seed), "log_loss", measure, budget, run_all)


LOGISTIC = ModelChoice(name="logistic")
FOREST = ModelChoice(name="random_forest", params={"n_estimators": 5})


@pytest.mark.parametrize("trials", [1, 4, 500])
def test_draws_start_with_the_defaults_and_never_repeat(trials: int) -> None:
    family = resolve(FOREST, Task.BINARY, seed=0)
    found = draws(family, trials, seed=0)
    assert found[0] == family.defaults
    assert len({repr(setting) for setting in found}) == len(found) == min(trials, 4 * 4 * 3)


@given(st.integers(0, 2**32))
def test_draws_are_the_same_for_a_seed_and_within_the_space(seed: int) -> None:
    family = resolve(ModelChoice(name="gradient_boosting"), Task.BINARY, seed=0)
    found = draws(family, 5, seed)
    assert found == draws(family, 5, seed)
    assert all(setting[name] in values for setting in found[1:] for name, values in family.space.items())


def test_families_draw_independently_of_each_other() -> None:
    family = resolve(FOREST, Task.BINARY, seed=0)
    assert draws(family, 9, 0) != draws(replace(family, name="other"), 9, 0) != draws(family, 9, 1)


def test_a_family_without_a_space_is_tried_once() -> None:
    choice = ModelChoice.model_validate({"name": "mine", "class": "sklearn.naive_bayes.GaussianNB"})
    assert run(choice).trials == 1


def test_the_best_draw_of_those_that_go_on_wins_by_its_mean_over_the_folds() -> None:
    shared = Shared(LOGISTIC, tuple(folds()), TERMS, MEASURE)
    settings = draws(resolve(LOGISTIC, Task.BINARY, 7), 9, 7)
    table = np.array([[trial(shared, Job(s, i)).score or np.nan for i in range(2)] for s in settings])
    going_on = np.argsort(-table[:, 0])[:3]
    best = going_on[np.argmax(table[going_on].mean(axis=1))]
    found = run(LOGISTIC, trials=9)
    assert (found.score, found.spread) == (table[best].mean(), table[best].std())
    assert found.params == settings[best]
    assert (found.trials, found.failed, found.metric) == (9, 0, "log_loss")


def test_every_trial_is_told_with_its_scores_and_how_it_ended() -> None:
    tried = run(LOGISTIC, parts=folds(number=4), trials=9).tried
    assert [len(one.scores) for one in tried if one.status is TrialStatus.COMPLETE] == [4, 4, 4]
    assert [len(one.scores) for one in tried if one.status is TrialStatus.PRUNED] == [1] * 6
    assert all(one.seconds > 0 and one.family == "logistic" and not one.error for one in tried)


def test_a_failed_trial_says_why() -> None:
    failed = [one for one in run(ModelChoice(name="logistic", space={"C": (-1.0,)})).tried if one.error]
    assert [(one.status, one.scores, one.params["C"]) for one in failed] == [(TrialStatus.FAILED, (), -1.0)]


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c")])
def test_out_of_fold_scores_are_those_of_models_that_never_saw_the_row(classes: tuple[str, ...]) -> None:
    task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
    terms, parts = Terms(task, classes, 7), folds(len(classes), number=4)
    best = Candidate("logistic", {"C": 0.5}, "log_loss", 0.0, 0.0, 1)
    found = out_of_fold(best, LOGISTIC, parts, terms, IN_TURN)
    assert found.shape == (80, len(classes))
    for fold in parts:
        model = fit(best, LOGISTIC, terms, Sample.plain(fold.x_train, fold.y_train))
        assert found[fold.rows].tobytes() == scorer(model).score(fold.x_valid).tobytes()


def test_only_a_third_of_the_settings_see_the_other_folds() -> None:
    seen: list[int] = []

    def count(function: Callable[[Shared, Job], Outcome], jobs: Sequence[Job], shared: Shared) -> Iterable[Outcome]:
        seen.append(len(jobs))
        return [function(shared, job) for job in jobs]

    run(LOGISTIC, count, parts=folds(number=4), trials=9)
    assert seen == [9, 3 * 3]


def test_when_the_leaders_fail_on_a_later_fold_the_next_ones_go_on() -> None:
    def leaders_fail(
        function: Callable[[Shared, Job], Outcome], jobs: Sequence[Job], shared: Shared
    ) -> Iterable[Outcome]:
        order = [repr(setting) for setting in draws(resolve(LOGISTIC, Task.BINARY, 7), 9, 7)]
        places = [order.index(repr(job.params)) for job in jobs]
        return [
            Outcome(None, "broke") if job.fold and place < 3 else Outcome(-float(place))
            for job, place in zip(jobs, places, strict=True)
        ]

    found = run(LOGISTIC, leaders_fail, trials=9)
    assert (found.score, found.failed) == (-3.0, 3)


@pytest.mark.parametrize("choice", [LOGISTIC, FOREST, ModelChoice(name="xgboost")], ids=lambda c: c.name)
def test_processes_and_serial_find_the_same_bits(choice: ModelChoice) -> None:
    found = [run(choice, run_all) for run_all in (IN_TURN, ProcessesExecutor(2).map)]
    timeless = [replace(one, tried=tuple(replace(trial, seconds=0.0) for trial in one.tried)) for one in found]
    assert timeless[0] == timeless[1]


def test_large_folds_reach_the_workers_as_read_only_maps() -> None:
    parts = folds(rows=12_000)
    choice = ModelChoice(name="gradient_boosting", params={"n_estimators": 3})
    assert run(choice, ProcessesExecutor(2).map, parts=parts, trials=2).failed == 0


def test_failing_draws_are_counted_and_never_chosen() -> None:
    choice = ModelChoice(name="logistic", space={"C": (-1.0, 0.5)})
    found = run(choice)
    assert (found.failed, found.trials) == (1, 3)
    assert found.params["C"] in (1.0, 0.5)


def test_a_family_whose_every_trial_fails_raises_with_the_reason() -> None:
    with pytest.raises(StepFailed, match=r"none of 1 settings .*'C' parameter"):
        run(ModelChoice(name="logistic", params={"C": -1.0}, space={}))


def test_a_metric_that_is_not_a_number_is_a_failure() -> None:
    with pytest.raises(StepFailed, match="the metric was nan"):
        run(LOGISTIC, measure=not_a_number)


@pytest.mark.parametrize("name", names())
def test_a_class_without_rows_in_a_fold_gets_probability_zero(name: str) -> None:
    fold = folds(classes=3)[0]
    keep = fold.y_train != 1
    fold = replace(fold, x_train=fold.x_train[keep], y_train=fold.y_train[keep])
    seen: list[NDArray[np.float64]] = []

    def look(y: NDArray[Any], scores: NDArray[np.float64]) -> float:
        seen.append(scores)
        return 0.0

    shared = Shared(ModelChoice(name=name), (fold,), Terms(Task.MULTICLASS, ("a", "b", "c"), 0), look)
    assert trial(shared, Job({}, 0)).score == 0.0
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
