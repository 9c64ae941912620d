"""What the card says of SHAP values: of every model that is taken apart exactly, a blend too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.unit.compiled_models import FAMILIES, X, classes, form, library

from everfit.compiled import file
from everfit.explaining.form import Parts
from everfit.flow.steps.assessment import shap_importance
from everfit.records.compiled import Form
from everfit.records.features import Encoder, NumericEncoding
from everfit.records.model import Importance, Problem
from everfit.records.table import Kind, Task
from everfit.training.flatten.form import flat
from everfit.training.scorers import BlendScorer

NAMES = [f"x{place}" for place in range(X.shape[1])]
# The models are fitted on the features as they are.
ENCODER = Encoder(tuple(NumericEncoding(name, Kind.NUMERIC, 0.0, 0.0, 1.0, False) for name in NAMES), ())
FEATURES = pl.DataFrame(X, schema=NAMES)
TEST = np.arange(len(X)) % 4 == 0


def blend(task: Task) -> Form:
    return flat(BlendScorer((0.25, 0.75), (library("logistic", task), library("lightgbm", task))), classes(task))


def found(made: Form | None, task: Task, folder: Path, shap: bool = True) -> tuple[Importance, ...]:
    if made is not None:
        file.write(made, folder / file.FILE)
    problem = Problem(task, "y", tuple("abc"[: classes(task)]), "roc_auc")
    return shap_importance(shap, folder, ENCODER, FEATURES, TEST, problem)


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "neural_network"])
def test_the_features_without_use_come_last(family: str, task: Task, tmp_path: Path) -> None:
    every = found(form(family, task), task, tmp_path)
    assert sorted(each.feature for each in every) == NAMES
    assert every[0].value > 0
    assert {"x4", "x5"}.isdisjoint(each.feature for each in every[:2])


@pytest.mark.parametrize("task", list(Task))
def test_a_blend_has_the_mean_size_of_its_rows_shares(task: Task, tmp_path: Path) -> None:
    made = blend(task)
    parts = Parts(made, lambda terms: terms(X[~TEST]).mean(axis=0))
    outputs = range(3) if task is Task.MULTICLASS else [0]
    shares = np.array([[parts.apart(row, output).amounts for output in outputs] for row in X[TEST]])
    sizes = dict(zip(NAMES, np.abs(shares).mean(axis=(0, 1)), strict=True))
    assert {each.feature: each.value for each in found(made, task, tmp_path)} == pytest.approx(sizes)


def test_what_is_not_taken_apart_exactly_has_none(tmp_path: Path) -> None:
    assert found(form("neural_network", Task.BINARY), Task.BINARY, tmp_path) == ()
    (tmp_path / "other").mkdir()
    assert found(None, Task.BINARY, tmp_path / "other") == ()


def test_nothing_is_computed_unless_asked_for(tmp_path: Path) -> None:
    assert found(blend(Task.BINARY), Task.BINARY, tmp_path, shap=False) == ()
