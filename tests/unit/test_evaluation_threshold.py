"""A threshold serves its objective on the rows it was chosen on, and holds on rows of the same kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from everfit.errors import ProjectError, StepFailed
from everfit.evaluation.metrics import metrics
from everfit.evaluation.threshold import choose
from everfit.project.load import load
from everfit.project.sections.training import Cost, Threshold, Training
from everfit.records.table import Task

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def sample(rows: int, seed: int) -> tuple[Floats, Bools]:
    """Scores that are the true probabilities."""
    random = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-random.normal(-1, 1.5, rows)))
    return scores, random.random(rows) < scores


def found(scores: Floats, positive: Bools, threshold: float) -> dict[str, float]:
    both = np.column_stack((1 - scores, scores))
    return metrics(Task.BINARY, positive.astype(np.int64), both, ("no", "yes"), threshold)


def cost(scores: Floats, positive: Bools, threshold: float, of: Cost) -> float:
    called = scores >= threshold
    return float((of.false_positive * (called & ~positive) + of.false_negative * (positive & ~called)).mean())


def every(scores: Floats) -> Floats:
    return np.unique(np.append(scores, scores + 1e-9))


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 300), rows=st.integers(3, 40))
def test_no_threshold_has_a_greater_f1(seed: int, rows: int) -> None:
    scores, positive = sample(rows, seed)
    positive[0] = True
    scores = scores.round(1)
    chosen = choose(scores, positive, Threshold(best="f1"))
    best = max(found(scores, positive, at)["f1"] for at in every(scores))
    assert found(scores, positive, chosen.value)["f1"] == pytest.approx(best)
    assert chosen.reached["f1"] == pytest.approx(best)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 300), rows=st.integers(3, 40), share=st.sampled_from([0.3, 0.8, 1.0]))
def test_the_recall_asked_for_is_kept_and_no_threshold_that_keeps_it_is_more_precise(
    seed: int, rows: int, share: float
) -> None:
    scores, positive = sample(rows, seed)
    positive[0] = True
    scores = scores.round(1)
    chosen = found(scores, positive, choose(scores, positive, Threshold(precision_at_recall=share)).value)
    others = [found(scores, positive, at) for at in every(scores)]
    assert chosen["recall"] >= share
    assert chosen["precision"] == pytest.approx(max(o["precision"] for o in others if o["recall"] >= share))


def test_the_precision_asked_for_is_kept() -> None:
    scores, positive = sample(3000, 1)
    chosen = choose(scores, positive, Threshold(recall_at_precision=0.7))
    assert found(scores, positive, chosen.value)["precision"] >= 0.7
    fresh = found(*sample(20_000, 2), chosen.value)
    assert fresh["precision"] == pytest.approx(0.7, abs=0.03)
    assert fresh["recall"] == pytest.approx(chosen.reached["recall"], abs=0.05)


def test_a_precision_out_of_reach_is_refused_with_the_greatest() -> None:
    with pytest.raises(StepFailed, match=r"the greatest is 50.0%"):
        choose(np.array([0.5, 0.5]), np.array([True, False]), Threshold(recall_at_precision=0.9))


@pytest.mark.parametrize(("false_negative", "threshold"), [(1.0, 0.5), (4.0, 0.2), (0.25, 0.8)])
def test_costs_lead_to_the_threshold_that_theory_gives_for_true_probabilities(
    false_negative: float, threshold: float
) -> None:
    chosen = choose(*sample(5000, 3), Threshold(cost=Cost(false_negative=false_negative)))
    assert chosen.value == pytest.approx(threshold)


def test_costs_lead_away_from_theory_where_the_scores_are_no_probabilities() -> None:
    scores, positive = sample(5000, 3)
    wanted = Cost(false_negative=4)
    chosen = choose(scores / 4, positive, Threshold(cost=wanted))
    assert cost(scores / 4, positive, chosen.value, wanted) < cost(scores / 4, positive, 0.2, wanted)
    assert chosen.value == pytest.approx(0.05, abs=0.02)
    assert chosen.reached["cost"] == pytest.approx(cost(scores / 4, positive, chosen.value, wanted))


def test_what_was_reached_is_told_for_costs_too() -> None:
    scores, positive = sample(800, 4)
    chosen = choose(scores, positive, Threshold(cost=Cost(false_negative=5)))
    here = found(scores, positive, chosen.value)
    assert {n: chosen.reached[n] for n in ("precision", "recall", "f1")} == pytest.approx(
        {n: here[n] for n in ("precision", "recall", "f1")}
    )


def test_a_number_is_taken_as_it_is_and_nothing_means_one_half() -> None:
    scores, positive = sample(10, 1)
    assert choose(scores, positive, Threshold(at=0.3)).value == 0.3
    assert choose(scores, positive, Threshold()).value == 0.5


@pytest.mark.parametrize(
    ("written", "means"),
    [
        (0.3, Threshold(at=0.3)),
        ("30%", Threshold(at=0.3)),
        ("f1", Threshold(best="f1")),
        ({"cost": {"false_negative": 5}}, Threshold(cost=Cost(false_positive=1, false_negative=5))),
        ({"precision_at_recall": "80%"}, Threshold(precision_at_recall=0.8)),
    ],
)
def test_a_threshold_is_written_as_people_say_it(written: object, means: Threshold) -> None:
    assert Training.model_validate({"threshold": written}).threshold == means


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{cost: {false_negative: 2}, precision_at_recall: 80%}", "one objective is enough"),
        ("accuracy", "f1"),
        ("1.5", "must be at most 1"),
        ("{cost: {false_negative: 0}}", "must be greater than 0"),
    ],
)
def test_a_threshold_that_means_nothing_is_refused(written: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "everfit.yaml"
    path.write_text(f"project: c\ndata: {{source: a.csv, target: y}}\ntraining: {{threshold: {written}}}\n")
    with pytest.raises(ProjectError, match=problem):
        load(path, env={})
