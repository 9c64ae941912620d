"""Forms for other programs say what the bundle says, or are not there and say why."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from everfit.errors import MissingExtra
from everfit.features import encoder as encoders
from everfit.flow.steps import exporting
from everfit.flow.steps.features import frame
from everfit.records import codec
from everfit.records.export import Export
from everfit.records.model import Problem
from everfit.records.table import Kind, Task
from everfit.training import bundle, onnx_file
from everfit.training.scorers import Scorer

RANDOM = np.random.default_rng(1)
FEATURES: dict[str, Any] = {
    "x": RANDOM.normal(size=300),
    "plan": np.array(["b", *RANDOM.choice(np.array(["a", "b", None], dtype=object), 299)], dtype=object),
}
ENCODER = encoders.fit(FEATURES, {"x": Kind.NUMERIC, "plan": Kind.CATEGORICAL}, ("x", "plan"))
MATRIX = encoders.transform(ENCODER, FEATURES)
SIGNAL = FEATURES["x"] + RANDOM.normal(size=300) / 2


@pytest.fixture
def exported(tmp_path: Path) -> Callable[..., tuple[Path, Export, Scorer]]:
    """The estimator, fitted, through the step: its folder, what it says, and the bundle's scorer."""

    def export(estimator: Any, *forms: str, task: Task = Task.BINARY) -> tuple[Path, Export, Scorer]:
        y = SIGNAL if task is Task.REGRESSION else (SIGNAL > 0).astype(int)
        folder, into = tmp_path / "estimator", tmp_path / "export"
        folder.mkdir()
        into.mkdir()
        trusted = bundle.write_estimator(estimator.fit(MATRIX, y), folder)
        problem = Problem(task, "y", () if task is Task.REGRESSION else ("no", "yes"), "roc_auc")
        exporting.exported(forms, folder, trusted, problem, ENCODER, frame(FEATURES), into)
        found = into / exporting.FORMS
        told = codec.decode(Export, found.read_bytes()) if found.is_file() else Export()
        assert exporting.exports(into) == told.forms
        return into, told, bundle.read_estimator(folder, trusted)

    return export


def run(path: Path) -> NDArray[np.float64]:
    """What another program does with the model."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": MATRIX.astype(np.float32)})[-1], dtype=np.float64)


@pytest.mark.parametrize("kind", ["LogisticRegression", "RandomForestClassifier"])
def test_both_forms_load_elsewhere_and_say_what_the_bundle_says(
    kind: str, exported: Callable[..., tuple[Path, Export, Scorer]]
) -> None:
    import skops.io
    from sklearn import ensemble, linear_model

    made = {
        "LogisticRegression": linear_model.LogisticRegression(),
        "RandomForestClassifier": ensemble.RandomForestClassifier(20, random_state=1),
    }
    folder, told, scorer = exported(made[kind], "skops", "onnx")
    expected = scorer.score(MATRIX)
    np.testing.assert_allclose(run(folder / "model.onnx"), expected, rtol=0, atol=onnx_file.TOLERANCE)
    path = folder / "model.skops"
    loaded = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    assert np.array_equal(loaded.predict_proba(MATRIX), expected)
    assert path.read_bytes() == (folder.parent / "estimator" / "model.skops").read_bytes()
    assert (told.columns, told.classes) == (("x", "plan=a", "plan=b"), ("no", "yes"))
    assert [(each.form, each.file, each.rows) for each in told.forms] == [
        ("skops", "model.skops", 0),
        ("onnx", "model.onnx", 300),
    ]


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_boosters_are_written_by_their_own_converters(
    library: str, task: Task, exported: Callable[..., tuple[Path, Export, Scorer]]
) -> None:
    import lightgbm
    import xgboost

    value = task is Task.REGRESSION
    boosters: dict[str, Any] = {
        "lightgbm": (lightgbm.LGBMClassifier, lightgbm.LGBMRegressor)[value](n_estimators=10, verbose=-1),
        "xgboost": (xgboost.XGBClassifier, xgboost.XGBRegressor)[value](n_estimators=10),
    }
    folder, told, scorer = exported(boosters[library], "skops", "onnx", task=task)
    found = run(folder / "model.onnx")
    assert onnx_file.difference(found, scorer.score(MATRIX)) <= onnx_file.TOLERANCE
    skops, onnx = told.forms
    assert skops.reason.startswith("the bundle holds this family as model.")
    assert onnx.file == "model.onnx"


def test_the_same_estimator_gives_the_same_bytes(exported: Callable[..., tuple[Path, Export, Scorer]]) -> None:
    from sklearn.linear_model import LogisticRegression

    folder, _, scorer = exported(LogisticRegression(), "onnx")
    assert onnx_file.convert(scorer, MATRIX.shape[1]) == (folder / "model.onnx").read_bytes()


def test_nothing_is_written_unless_it_is_asked_for(exported: Callable[..., tuple[Path, Export, Scorer]]) -> None:
    from sklearn.linear_model import LogisticRegression

    folder, told, _ = exported(LogisticRegression())
    assert told.forms == ()
    assert list(folder.iterdir()) == []


def test_a_form_that_scores_otherwise_is_refused(
    exported: Callable[..., tuple[Path, Export, Scorer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.linear_model import LogisticRegression

    honest = onnx_file.score
    monkeypatch.setattr(onnx_file, "score", lambda model, matrix: honest(model, matrix + 0.001))
    folder, told, _ = exported(LogisticRegression(), "onnx")
    assert "more than 1e-05 from the bundle's" in told.forms[0].reason
    assert told.forms[0].difference > onnx_file.TOLERANCE
    assert [path.name for path in folder.iterdir()] == ["forms.json"]


def test_a_family_without_a_converter_is_refused_by_name(
    exported: Callable[..., tuple[Path, Export, Scorer]],
) -> None:
    from everfit.training.networks import NeuralClassifier

    folder, told, _ = exported(NeuralClassifier(epochs=2), "onnx")
    assert "everfit's NeuralClassifier could not be converted" in told.forms[0].reason
    assert not (folder / "model.onnx").exists()


def test_without_the_packages_the_extra_is_named(
    exported: Callable[..., tuple[Path, Export, Scorer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.linear_model import LogisticRegression

    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(MissingExtra, match=r"everfit\[onnx\]"):
        exported(LogisticRegression(), "onnx")
