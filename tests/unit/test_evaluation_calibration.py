"""Calibrated scores are probabilities, keep the rows' order, and are better on rows that nobody has seen."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit import serving_models

from everfit.errors import ProjectError
from everfit.evaluation.calibration import Floats, calibrator, curve
from everfit.evaluation.calibration_fit import choose, isotonic, platt
from everfit.evaluation.metrics import area_under_roc
from everfit.records import codec
from everfit.records.calibration import Calibration, Isotonic, Method, Platt
from everfit.records.model import Manifest
from everfit.serving.model import open_model
from everfit.training.bundle import seal

Classes = NDArray[np.int64]


def sample(rows: int, seed: int, bend: float = 1.0) -> tuple[Floats, Classes]:
    """Binary scores whose logit is `bend` times the true one."""
    random = np.random.default_rng(seed)
    truth = random.normal(-1, 1.5, rows)
    y = (random.random(rows) < 1 / (1 + np.exp(-truth))).astype(np.int64)
    stated = 1 / (1 + np.exp(-bend * truth))
    return np.column_stack((1 - stated, stated)), y


def three(rows: int, seed: int, bend: float) -> tuple[Floats, Classes]:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.2, (rows, 3))
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (random.random((rows, 1)) > share.cumsum(axis=1)).sum(axis=1).clip(max=2)
    bent = np.exp(bend * logits)
    return bent / bent.sum(axis=1, keepdims=True), y


def brier(scores: Floats, y: Classes) -> float:
    return float(np.square(scores - np.eye(scores.shape[1])[y]).sum(axis=1).mean())


@settings(deadline=None)  # the first call imports scipy's part
@given(
    scores=st.lists(st.floats(0, 1), min_size=2, max_size=60),
    seed=st.integers(0, 1000),
    others=st.lists(st.floats(0, 1), min_size=1, max_size=30),
)
def test_curves_give_probabilities_that_never_fall_as_the_score_rises(
    scores: list[float], seed: int, others: list[float]
) -> None:
    positive = np.random.default_rng(seed).random(len(scores)) < 0.4
    new = np.sort(others)
    for record in (isotonic(np.array(scores), positive), platt(np.array(scores), positive)):
        if record is not None:
            found = curve(record, new)
            assert ((found >= 0) & (found <= 1)).all()
            assert (np.diff(found) >= 0).all()


@settings(deadline=None)
@given(seed=st.integers(0, 200), method=st.sampled_from(["isotonic", "platt"]))
def test_every_row_of_several_classes_sums_to_one(seed: int, method: str) -> None:
    scores, y = three(90, seed, 2.0)
    apply = calibrator(choose(scores, y, method, 1))
    for rows in (scores, np.eye(3)):
        found = apply(rows)
        assert found.sum(axis=1) == pytest.approx(1)
        assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_a_binary_calibration_keeps_the_area_under_the_curve(method: str) -> None:
    scores, y = sample(3000, 1, bend=2.5)
    fresh, truth = sample(3000, 2, bend=2.5)
    found = calibrator(choose(scores, y, method, 1))(fresh)
    before, after = (area_under_roc(truth == 1, each[:, 1]) for each in (fresh, found))
    assert after == pytest.approx(before, abs=1e-9)


@pytest.mark.parametrize("bend", [0.4, 2.5])
def test_scores_that_overstate_or_understate_are_mended_on_fresh_rows(bend: float) -> None:
    scores, y = sample(3000, 1, bend)
    chosen = choose(scores, y, "auto", 1)
    fresh, truth = sample(20_000, 2, bend)
    assert chosen.method is not Method.NONE
    assert brier(calibrator(chosen)(fresh), truth) < 0.98 * brier(fresh, truth)
    assert abs(calibrator(chosen)(fresh)[:, 1].mean() - truth.mean()) < 0.02


def test_several_classes_are_mended_on_fresh_rows() -> None:
    chosen = choose(*three(3000, 1, 3.0), "auto", 1)
    fresh, truth = three(10_000, 2, 3.0)
    assert chosen.method is not Method.NONE
    assert brier(calibrator(chosen)(fresh), truth) < 0.98 * brier(fresh, truth)


def test_a_sigmoid_bend_is_answered_with_a_sigmoid() -> None:
    assert choose(*sample(2000, 5, 3.0), "auto", 1).method is Method.PLATT


def test_a_bend_that_no_sigmoid_mends_is_answered_with_isotonic() -> None:
    random = np.random.default_rng(1)
    score = random.random(4000)
    y = (random.random(4000) < np.where(score < 0.9, 0.3, 0.95)).astype(np.int64)
    assert choose(np.column_stack((1 - score, score)), y, "auto", 1).method is Method.ISOTONIC


def test_scores_that_are_calibrated_already_are_rarely_touched_and_never_made_worse() -> None:
    fresh, truth = sample(20_000, 999)
    chosen = [choose(*sample(1500, seed), "auto", seed) for seed in range(60)]
    assert sum(each.method is not Method.NONE for each in chosen) <= 6
    for each in chosen:
        assert brier(calibrator(each)(fresh), truth) < 1.01 * brier(fresh, truth)


def test_the_record_says_what_was_tried_and_why() -> None:
    chosen = choose(*sample(3000, 1, 2.5), "auto", 1)
    assert set(chosen.brier) == set(chosen.log_loss) == {"none", "isotonic", "platt"}
    assert chosen.rows == 3000
    assert chosen.brier[chosen.method] < chosen.brier["none"]
    assert "lowers the cross-validated Brier score from" in chosen.reason


def test_a_method_that_is_named_is_taken() -> None:
    for asked in ("none", "isotonic", "platt"):
        assert choose(*sample(500, 1), asked, 1).method == asked


def test_platt_on_scores_that_fall_with_the_target_is_left_out() -> None:
    scores, y = sample(2000, 1)
    chosen = choose(scores[:, ::-1], y, "platt", 1)
    assert (chosen.method, chosen.curves) == (Method.NONE, ())
    assert "do not rise" in chosen.reason


def test_rows_of_one_class_teach_nothing() -> None:
    scores, _ = sample(50, 1)
    assert choose(scores, np.zeros(50, dtype=np.int64), "auto", 1).method is Method.NONE


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(ProjectError, match="no calibration 'beta'"):
        choose(*sample(50, 1), "beta", 1)


def test_platt_is_the_line_that_scikit_learn_fits() -> None:
    from sklearn.linear_model import LogisticRegression

    scores, y = sample(5000, 3, 2.0)
    z = np.log(scores[:, 1] / scores[:, 0])[:, None]
    known = LogisticRegression(C=np.inf, tol=1e-10).fit(z, y)
    found = platt(scores[:, 1], y == 1)
    assert found is not None
    # Platt's targets are drawn in from 0 and 1 by the class sizes, hence not to the last digit.
    assert (found.slope, found.intercept) == pytest.approx((known.coef_[0, 0], known.intercept_[0]), abs=0.01)


def test_centred_isotonic_knots_are_strictly_increasing_and_keep_the_mean() -> None:
    scores, y = sample(2000, 4, 2.0)
    found = isotonic(scores[:, 1], y == 1)
    assert (np.diff(found.x) > 0).all()
    assert (np.diff(found.y) > 0).all()
    assert curve(found, scores[:, 1]).mean() == pytest.approx(y.mean(), abs=0.01)


def test_a_record_is_read_back_as_it_was_written() -> None:
    for curves in ((Isotonic((0.0, 1.0), (0.1, 0.9)),), (Platt(1.5, -0.2), Platt(1.0, 0.0), Platt(2.0, 0.1))):
        record = Calibration(Method.PLATT, curves, 10, {"none": 0.2}, {"none": 0.5}, "why")
        assert codec.decode(Calibration, codec.encode(record)) == record
    assert replace(record, method=Method.NONE).curves == record.curves


def test_without_a_calibration_scores_are_what_they_were() -> None:
    scores, _ = sample(5, 1)
    for nothing in (None, Calibration(Method.NONE)):
        assert calibrator(nothing)(scores) is scores


def test_a_bundle_from_before_calibrations_is_still_read() -> None:
    stored = json.loads((serving_models.bundle() / "bundle.json").read_text())
    del stored["calibration"]
    assert codec.decode(Manifest, json.dumps(stored)).calibration is None


@pytest.mark.parametrize("target", ["Churn", "level"])
def test_a_model_answers_with_calibrated_scores(target: str, tmp_path: Path) -> None:
    before = serving_models.model(target)
    curves = (Platt(2.0, 0.5),) if target == "Churn" else (Platt(2.0, 0.5),) * 3
    record = Calibration(Method.PLATT, curves)
    folder = shutil.copytree(serving_models.bundle(target), tmp_path / "bundle")
    seal(folder, replace(before.manifest, calibration=record))
    columns = before.parser.columns([serving_models.GOOD])
    found = open_model(folder).scores(columns)
    assert found.tolist() == calibrator(record)(before.scores(columns)).tolist()
    assert found.tolist() != before.scores(columns).tolist()
