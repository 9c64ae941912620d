from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from everfit.training import chunked
from everfit.training.scorers import Matrix
from everfit.training.splines import SplineLogistic, SplineRidge
from everfit.training.threads import one_thread

ROWS = 3_000
X: Matrix = np.random.default_rng(1).normal(size=(ROWS, 4))
LOGIT = np.sin(2 * X[:, 0]) + X[:, 1] - 1
NOISE = np.random.default_rng(2).logistic(size=ROWS)
TWO = (LOGIT + NOISE > 0).astype(np.int64)
SEVERAL = np.digitize(LOGIT + NOISE, [-1.5, 1.0])
WEIGHT = np.random.default_rng(3).uniform(0.5, 2, ROWS)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several chunks, and a start that is not the whole."""
    monkeypatch.setattr(chunked, "_ROWS", 700)
    monkeypatch.setattr(chunked, "_START", 400)


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize(
    ("linear", "y", "apart"),
    [
        (LogisticRegression(C=0.3, solver="newton-cholesky", tol=1e-8), TWO, 1e-6),
        (LogisticRegression(C=0.3, solver="newton-cholesky", tol=1e-8), SEVERAL, 1e-3),
        (Ridge(alpha=3.0, solver="cholesky"), 100 + LOGIT + NOISE, 1e-9),
    ],
    ids=["two classes", "several classes", "values"],
)
def test_sums_over_chunks_give_the_fit_of_all_rows(
    linear: Any, y: NDArray[Any], apart: float, weight: NDArray[Any] | None
) -> None:
    with one_thread():
        whole = linear.fit(X, y, sample_weight=weight)
        expected = [np.array(whole.coef_), np.array(whole.intercept_)]
        found = chunked.fit(linear, X, y, weight)
    for one, other in zip(expected, [found.coef_, found.intercept_], strict=True):
        assert np.shape(one) == np.shape(other)
        assert np.abs(one - other).max() < apart


@pytest.mark.parametrize(("model", "y"), [(SplineLogistic(), TWO), (SplineLogistic(), SEVERAL), (SplineRidge(), LOGIT)])
def test_a_curve_is_the_same_from_chunks(model: Any, y: NDArray[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = model.fit(X, y).additive_.score(X)
    monkeypatch.setattr(chunked, "CELLS", 1)
    assert np.abs(model.fit(X, y).additive_.score(X) - whole).max() < 2e-3


def test_a_class_of_one_row_is_known_from_the_start() -> None:
    rare = np.append(TWO, 2)
    rows = np.vstack((X, [9.0, 9.0, 9.0, 9.0]))
    found = chunked.fit(LogisticRegression(solver="newton-cholesky"), rows, rare, None)
    assert found.classes_.tolist() == [0, 1, 2]
    assert found.predict(rows[-1:]).tolist() == [2]


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(solver="saga", l1_ratio=1.0),
        LogisticRegression(class_weight="balanced"),
        LogisticRegression(fit_intercept=False),
        Ridge(positive=True),
        SplineRidge(),
    ],
)
def test_what_has_another_loss_is_left_to_its_library(estimator: Any) -> None:
    assert not chunked.is_for(estimator, chunked.CELLS + 1)


def test_small_tables_are_left_to_the_library() -> None:
    assert not chunked.is_for(Ridge(), chunked.CELLS)
    assert chunked.is_for(Ridge(), chunked.CELLS + 1)
