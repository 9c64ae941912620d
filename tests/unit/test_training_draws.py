from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.training_folds import FOREST

from everfit.project.sections.training import ModelChoice
from everfit.records.model import Trial, TrialStatus
from everfit.records.table import Task
from everfit.training.draws import Params, Sampler, draws
from everfit.training.families import Family, resolve

FAMILY = resolve(FOREST, Task.BINARY, seed=0)


def told(params: Params, score: float, status: TrialStatus = TrialStatus.COMPLETE) -> Trial:
    return Trial("random_forest", params, (score,), status, 0.0)


def asked(family: Family, seed: int, batches: int = 4, size: int = 4) -> list[Params]:
    """Everything that a sampler asks for when deep trees are the better ones."""
    sampler, found = Sampler(family, seed), []
    for _ in range(batches):
        batch = sampler.ask(size)
        found += batch
        for params in batch:
            sampler.tell(told(params, float(str(params.get("max_depth", 0)))), params)
    return found


@pytest.mark.parametrize("trials", [1, 4, 500])
def test_draws_start_with_the_defaults_and_never_repeat(trials: int) -> None:
    found = draws(FAMILY, trials, seed=0)
    assert found[0] == FAMILY.defaults
    assert len({repr(setting) for setting in found}) == len(found) == min(trials, 4 * 4 * 3)


@given(st.integers(0, 2**32))
def test_draws_are_the_same_for_a_seed_and_within_the_space(seed: int) -> None:
    family = resolve(ModelChoice(name="gradient_boosting"), Task.BINARY, seed=0)
    found = draws(family, 5, seed)
    assert found == draws(family, 5, seed)
    assert all(setting[name] in values for setting in found[1:] for name, values in family.space.items())


def test_families_draw_independently_of_each_other() -> None:
    assert draws(FAMILY, 9, 0) != draws(replace(FAMILY, name="other"), 9, 0) != draws(FAMILY, 9, 1)


def test_the_sampler_asks_for_the_same_again_and_for_nothing_twice() -> None:
    found = asked(FAMILY, 3)
    assert found == asked(FAMILY, 3) != asked(FAMILY, 4)
    assert len({repr(sorted(setting.items())) for setting in found}) == len(found) == 16
    assert all(setting[name] in values for setting in found for name, values in FAMILY.space.items())


def test_a_space_that_is_used_up_is_asked_for_no_more() -> None:
    few = resolve(ModelChoice(name="logistic", space={"C": (0.1, 1.0, 10.0)}), Task.BINARY, seed=0)
    sampler = Sampler(few, 0)
    sampler.tell(told(few.defaults, 0.5), few.defaults)
    assert sorted(float(str(one["C"])) for one in sampler.ask(4)) == [0.1, 10.0]
    assert sampler.ask(4) == []


def test_a_family_without_a_space_has_nothing_to_ask_for() -> None:
    family = resolve(
        ModelChoice.model_validate({"name": "mine", "class": "sklearn.naive_bayes.GaussianNB"}), Task.BINARY, 0
    )
    sampler = Sampler(family, 0)
    sampler.tell(told(family.defaults, 0.5), family.defaults)
    assert sampler.ask(4) == []


def test_what_is_told_moves_what_is_asked() -> None:
    def after(good: int) -> float:
        sampler = Sampler(FAMILY, 1)
        for _ in range(5):
            for params in sampler.ask(4):
                near = -abs(float(str(params["max_depth"])) - good)
                sampler.tell(told(params, near), params)
        return sum(float(str(params["max_depth"])) for params in sampler.ask(4))

    assert after(6) < after(14)


def test_pruned_and_failed_settings_are_taken_too() -> None:
    sampler = Sampler(FAMILY, 2)
    first, second = sampler.ask(2)
    sampler.tell(told(first, 0.5, TrialStatus.PRUNED), first)
    sampler.tell(Trial("random_forest", second, (), TrialStatus.FAILED, 0.0, "broke"), second)
    assert not {repr(one) for one in sampler.ask(4)} & {repr(first), repr(second)}
