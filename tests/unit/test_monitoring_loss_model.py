"""The error of a regression foretold without labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from everfit.monitoring.estimate import expected_losses, loss_impact, scaled
from everfit.records.codec import decode, encode
from everfit.records.profile import LossModel
from everfit.training import residuals

Floats = np.ndarray[Any, np.dtype[np.float64]]


def drawn(rows: int, seed: int, by: float = 0.0) -> tuple[Floats, Floats]:
    """Rows whose error grows with the first column, and the errors."""
    generator = np.random.default_rng(seed)
    x = np.column_stack([generator.normal(by, 1, rows), generator.normal(size=rows)])
    return x, generator.normal(size=rows) * (1 + np.clip(x[:, 0], -2, 2) / 4)


@pytest.fixture(scope="module")
def model() -> LossModel:
    found = residuals.fit(*drawn(4_000, 1), seed=1)
    assert found is not None
    return scaled(found, *drawn(1_000, 2))


def test_harder_rows_are_expected_to_be_worse_and_by_how_much(model: LossModel) -> None:
    for by in (-1.0, 0.0, 1.0):
        x, error = drawn(4_000, 3, by)
        expected = expected_losses(model, x).mean(axis=0)
        assert expected[0] == pytest.approx(np.abs(error).mean(), rel=0.08)
        assert expected[1] == pytest.approx((error**2).mean(), rel=0.12)


def test_the_drop_is_a_share_of_the_tests_error(model: LossModel) -> None:
    found = loss_impact(model, drawn(4_000, 3, 1.0)[0], "mae")
    assert found is not None
    assert (found.metric, found.relative) == ("mae", True)
    assert found.drop == pytest.approx(found.current / found.reference - 1)
    assert found.drop > 0.1
    other = loss_impact(model, drawn(4_000, 3)[0], "r2")
    assert other is not None
    assert other.metric == "rmse"
    assert abs(other.drop) < 0.08


def test_the_test_rows_set_the_level(model: LossModel) -> None:
    x, error = drawn(1_000, 2)
    assert expected_losses(model, x).mean(axis=0) == pytest.approx([np.abs(error).mean(), (error**2).mean()])


def test_it_is_kept_as_data(model: LossModel) -> None:
    text = encode(model)
    assert decode(LossModel, text) == model
    assert len(text) < 100_000


@pytest.mark.parametrize("error", [np.ones(100), np.zeros(500), np.full(500, np.nan)])
def test_where_nothing_can_be_learned_there_is_no_model(error: Floats) -> None:
    assert residuals.fit(np.zeros((len(error), 2)), error, seed=1) is None


def test_without_rows_there_is_no_estimate(model: LossModel) -> None:
    assert loss_impact(model, np.empty((0, 2)), "mae") is None
