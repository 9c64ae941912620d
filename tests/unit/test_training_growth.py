from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.unit.training_folds import TERMS, folds, negative_log_loss, shared

from everfit.project.sections.training import ModelChoice
from everfit.training.families import resolve
from everfit.training.fit import Sample, fitted
from everfit.training.growth import Growth
from everfit.training.rounds import stages
from everfit.training.scorers import Matrix
from everfit.training.trial import Job, trial

WATCHED = ("lightgbm", "xgboost", "gradient_boosting")


def grown(worth: Sequence[float], at: Sequence[int]) -> Growth:
    """Hears of every round, and is given these scores by stage."""
    left = iter(worth)
    growth = Growth(tuple(at), np.zeros((1, 1)), lambda _: next(left))
    for rounds in range(1, at[-1] + 1):
        if growth.after(rounds, lambda: np.zeros((1, 2))):
            break
    return growth


def test_growing_goes_on_while_it_pays_and_ends_two_stages_after_the_best() -> None:
    at = [10, 20, 30, 40, 50, 60]
    assert grown([1, 2, 3, 4, 5, 6], at).worth == [1, 2, 3, 4, 5, 6]
    assert grown([1, 3, 2, 2.5, 9, 9], at).worth == [1, 3, 2, 2.5]


def test_a_worse_stage_in_the_first_quarter_ends_nothing() -> None:
    assert len(grown([5, 4, 3, 6, 7], [10, 12, 14, 16, 100]).worth) == 5


@pytest.mark.parametrize("name", WATCHED)
def test_a_booster_that_learns_noise_is_not_grown_to_the_end(name: str) -> None:
    """Random labels: the best model is one of few rounds."""
    parts = folds(rows=600)
    random = np.random.default_rng(3)
    fold = parts[0]
    y_train, y_valid = (random.integers(0, 2, len(y)) for y in (fold.y_train, fold.y_valid))
    choice = ModelChoice(name=name)
    family = resolve(choice, TERMS.task, TERMS.seed).racing
    at = stages(family.defaults, 600)
    growth = Growth(at, fold.x_valid, lambda scores: negative_log_loss(y_valid, scores))
    params = {**family.defaults, family.rounds: at[-1]}
    fitted(family, params, TERMS, Sample.plain(fold.x_train, y_train), growth.watch)
    assert growth.is_over
    assert len(growth.found) < len(at)
    assert all(scores.shape == (len(y_valid), 2) for scores in growth.found)


@pytest.mark.parametrize("params", [{"boosting_type": "dart"}, {"objective": "cross_entropy"}], ids=str)
def test_a_lightgbm_whose_trees_do_not_simply_add_up_is_asked_as_a_whole(params: dict[str, str]) -> None:
    of = shared(ModelChoice.model_validate({"name": "lightgbm", "params": params}), folds(rows=200))
    family = of.family.racing
    at = (10, 15)
    found = trial(of, Job({**family.defaults, "n_estimators": 15}, 0, at))
    assert not found.error
    alone: Matrix = trial(of, Job({**family.defaults, "n_estimators": 15}, 0)).held_out[0]
    np.testing.assert_allclose(found.held_out[-1], alone, rtol=1e-6)
