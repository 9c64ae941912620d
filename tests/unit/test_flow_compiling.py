from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from everfit.compiled import file
from everfit.features import encoder as encoders
from everfit.flow.steps import compiling
from everfit.flow.steps.features import frame
from everfit.records.calibration import Calibration, Method, Platt
from everfit.records.exactness import Exactness
from everfit.records.model import Problem
from everfit.records.table import Kind, Task
from everfit.training.bundle import write_estimator

RANDOM = np.random.default_rng(1)
FEATURES: dict[str, Any] = {
    "x": RANDOM.normal(size=200),
    "plan": RANDOM.choice(np.array(["a", "b", None], dtype=object), 200),
}
ENCODER = encoders.fit(FEATURES, {"x": Kind.NUMERIC, "plan": Kind.CATEGORICAL}, ("x", "plan"))
PROBLEM = Problem(Task.BINARY, "y", ("no", "yes"), "roc_auc")
Y = (FEATURES["x"] > 0).astype(int)


def judged(estimator: Any, folder: Path, calibration: Calibration = Calibration(Method.NONE)) -> Exactness:  # noqa: B008  a frozen record
    """The estimator through both steps."""
    trusted = write_estimator(estimator.fit(encoders.transform(ENCODER, FEATURES), Y), folder)
    made = folder / "made"
    made.mkdir()
    compiling.compiled(folder, trusted, PROBLEM, made)
    return compiling.exactness(folder, made, trusted, PROBLEM, ENCODER, frame(FEATURES), calibration)


def test_a_built_in_family_is_compiled_and_found_exact_over_100_000_rows(tmp_path: Path) -> None:
    from sklearn.ensemble import GradientBoostingClassifier

    calibration = Calibration(Method.PLATT, (Platt(1.3, 0.2),))
    found = judged(GradientBoostingClassifier(n_estimators=5, max_depth=2), tmp_path, calibration)
    assert found.holds
    assert found.rows >= 100_000
    assert (tmp_path / "made" / file.FILE).is_file()


def test_an_estimator_without_a_compiled_form_says_so(tmp_path: Path) -> None:
    from sklearn.naive_bayes import GaussianNB

    found = judged(GaussianNB(), tmp_path)
    assert found == Exactness(False, reason="sklearn.naive_bayes.GaussianNB has no compiled form")
    assert list((tmp_path / "made").iterdir()) == []


def test_a_machine_that_makes_no_code_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.linear_model import LogisticRegression

    def unable(*_: object, **__: object) -> None:
        raise RuntimeError("no such target")

    monkeypatch.setattr("everfit.compiled.exactness.compare", unable)
    assert "no such target" in judged(LogisticRegression(), tmp_path).reason
