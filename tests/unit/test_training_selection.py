from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.unit.training_folds import IN_TURN, LIGHTGBM, LOGISTIC, MEASURE, folds, shared

from everfit.errors import StepFailed
from everfit.project.sections.training import ModelChoice
from everfit.records.model import Candidate, Member, Trial, TrialStatus
from everfit.training import race
from everfit.training.blend import blend
from everfit.training.built_in import FAMILIES
from everfit.training.noise import is_better, standard_error
from everfit.training.race import Searched
from everfit.training.selection import going, select

KINDS = {name: entry.kind for name, entry in FAMILIES.items()}
FAILED = Candidate(
    "xgboost",
    {},
    "roc_auc",
    -np.inf,
    0.0,
    1,
    1,
    (Trial("xgboost", {}, (), TrialStatus.FAILED, 0.0, "ValueError: broke"),),
)


def candidate(family: str, *scores: float) -> Candidate:
    members = (Member("a", {}, 0.5), Member("b", {}, 0.5)) if family == "blend" else ()
    return Candidate(family, {}, "roc_auc", float(np.mean(scores)), 0.0, 1, scores=scores, members=members)


def steady(family: str, mean: float) -> Candidate:
    """The same distance from every other of its kind on each fold, so that any difference is beyond noise."""
    return candidate(family, mean - 0.02, mean, mean + 0.02)


def wavering(family: str, mean: float) -> Candidate:
    return candidate(family, mean + 0.02, mean, mean - 0.02)


def test_only_families_that_keep_up_search_on_and_one_of_a_kind() -> None:
    firsts = [
        steady("logistic", 0.80),
        steady("spline_logistic", 0.85),
        steady("lightgbm", 0.83),
        wavering("xgboost", 0.84),
        wavering("mine", 0.84),
    ]
    assert going(firsts, KINDS) == ("spline_logistic", "xgboost", "mine")


def test_a_family_whose_first_setting_failed_searches_on() -> None:
    assert going([steady("logistic", 0.8), FAILED], KINDS) == ("logistic", "xgboost")
    assert going([FAILED], KINDS) == ("xgboost",)


@pytest.mark.parametrize(
    ("found", "simplest", "best"),
    [
        ([steady("logistic", 0.80), steady("lightgbm", 0.84)], "lightgbm", "lightgbm"),
        ([wavering("logistic", 0.835), steady("lightgbm", 0.84)], "logistic", "lightgbm"),
        ([steady("logistic", 0.80), wavering("spline_logistic", 0.835), steady("lightgbm", 0.84)],
         "spline_logistic", "lightgbm"),
        ([steady("lightgbm", 0.84), steady("blend", 0.85)], "blend", "blend"),
        ([steady("lightgbm", 0.84), wavering("blend", 0.845)], "lightgbm", "lightgbm"),
        ([wavering("logistic", 0.85), steady("lightgbm", 0.84), steady("blend", 0.86)], "logistic", "logistic"),
        ([FAILED, steady("logistic", 0.7)], "logistic", "logistic"),
        ([steady("random_forest", 0.8), steady("lightgbm", 0.8)], "random_forest", "random_forest"),
    ],
)  # fmt: skip
def test_the_simplest_that_is_not_worse_beyond_noise_is_taken(
    found: Sequence[Candidate], simplest: str, best: str
) -> None:
    assert select(found, True).family == simplest
    assert select(found, False).family == best


def test_only_when_nothing_works_the_search_fails_and_says_why() -> None:
    with pytest.raises(StepFailed, match="xgboost: ValueError: broke"):
        select([FAILED], True)


def test_the_standard_error_is_larger_than_the_one_of_independent_folds() -> None:
    differences = [0.01, 0.03, 0.02, 0.02, 0.01]
    plain = np.std(differences, ddof=1) / np.sqrt(5)
    assert standard_error(differences) == pytest.approx(plain * 1.5)


def test_equal_models_are_rarely_told_apart() -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, size=(400, 5, 200))
    ones, others = (y + random.normal(size=y.shape) for _ in range(2))
    better = [
        is_better(
            [np.corrcoef(y[i, k], a[k])[0, 1] for k in range(5)], [np.corrcoef(y[i, k], b[k])[0, 1] for k in range(5)]
        )
        for i, (a, b) in enumerate(zip(ones, others, strict=True))
    ]
    assert np.mean(better) < 0.09  # 5 of 100, with the noise of 400 trials


def searched(name: str, held_out: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Searched:
    parts = folds(rows=600, number=5)
    scores = tuple(MEASURE(fold.y_valid, held_out[fold.rows]) for fold in parts)
    return Searched(Candidate(name, {}, "log_loss", float(np.mean(scores)), 0.0, 1, scores=scores), held_out)


def noisy(seed: int, scale: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Scores around the truth, each with errors of its own."""
    parts = folds(rows=600, number=5)
    y = np.empty(600)
    for fold in parts:
        y[fold.rows] = fold.y_valid
    logit = 2 * (y - 0.5) + np.random.default_rng(seed).normal(size=600) * scale
    positive = 1 / (1 + np.exp(-logit))
    return np.column_stack((1 - positive, positive))


def test_models_that_err_apart_are_blended_and_win() -> None:
    parts, every = folds(rows=600, number=5), [searched("logistic", noisy(1, 2.0)), searched("lightgbm", noisy(2, 2.0))]
    found = blend(every, parts, MEASURE)
    assert found is not None
    weights = [member.weight for member in found.candidate.members]
    assert sum(weights) == pytest.approx(1)
    assert all(0.3 < weight < 0.7 for weight in weights)
    mean = sum(w * one.held_out for w, one in zip(weights, every, strict=True))
    np.testing.assert_allclose(found.held_out, mean)
    assert select([*(one.candidate for one in every), found.candidate], False).members


def test_a_model_that_adds_nothing_gets_no_weight() -> None:
    every = [searched("logistic", noisy(1, 0.5)), searched("lightgbm", np.full((600, 2), 0.5))]
    found = blend(every, folds(rows=600, number=5), MEASURE)
    assert found is None or len(found.candidate.members) == 1 or found.candidate.members[0].weight > 0.9


def test_one_model_is_no_blend() -> None:
    parts = folds(rows=600, number=5)
    assert blend([searched("logistic", noisy(1, 1.0))], parts, MEASURE) is None
    assert blend([searched("logistic", noisy(1, 1.0)), Searched(FAILED, np.empty(0))], parts, MEASURE) is None


def test_the_score_of_a_blend_is_judged_with_weights_of_the_other_folds() -> None:
    """A model that is only right on one fold would be taken for that fold alone if the fold itself chose."""
    parts = folds(rows=600, number=5)
    lucky = noisy(2, 3.0)
    lucky[parts[0].rows] = noisy(3, 0.1)[parts[0].rows]
    every = [searched("logistic", noisy(1, 1.0)), searched("lightgbm", lucky)]
    found = blend(every, parts, MEASURE)
    if found is not None:
        whole = [MEASURE(fold.y_valid, found.held_out[fold.rows]) for fold in parts]
        assert found.candidate.score <= np.mean(whole) + 1e-12


@pytest.mark.parametrize("names", [("logistic", "lightgbm")])
def test_a_blend_of_real_families(names: tuple[str, ...]) -> None:
    parts = folds(rows=300, number=3)
    choices: dict[str, ModelChoice] = {"logistic": LOGISTIC, "lightgbm": LIGHTGBM}
    every = [race.first(shared(choices[name], parts), "log_loss", IN_TURN) for name in names]
    found = blend(every, parts, MEASURE)
    assert found is None or set(found.candidate.params) <= set(names)
