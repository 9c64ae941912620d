from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from numpy.typing import NDArray

from everfit.errors import StorageError
from everfit.project.sections.training import ModelChoice
from everfit.records.features import Encoder
from everfit.records.model import Evaluation, GateReport, Lineage, Manifest, Member, Param
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.table import DatasetVersion, Kind, Schema, Task
from everfit.training.bundle import (
    MANIFEST,
    open_bundle,
    read_estimator,
    seal,
    write_blend,
    write_estimator,
    write_member,
)
from everfit.training.families import names, resolve
from everfit.training.fit import Sample, Terms, fitted
from everfit.training.scorers import scorer

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(120, 4))
SIGNAL = X[:, 0] + X[:, 1] * X[:, 2]


TERMS = {task: Terms(task, tuple(classes), 1) for task, classes in zip(Task, ("ab", "abc", ""), strict=True)}
SMALL: dict[str, dict[str, Param]] = {
    "logistic": {},
    "spline_logistic": {},
    "hist_gradient_boosting": {"max_iter": 4},
    "catboost": {"iterations": 4},
    "neural_network": {"width": 4, "epochs": 2},
}
FILES = ["additive.json", "model.cbm", "model.skops", "model.txt", "model.ubj"]


def target(task: Task) -> NDArray[Any]:
    return SIGNAL if task is Task.REGRESSION else np.digitize(SIGNAL, [0.0] if task is Task.BINARY else [-0.5, 0.5])


def model(name: str, task: Task = Task.BINARY) -> Any:
    family = resolve(ModelChoice(name=name, params=SMALL.get(name, {"n_estimators": 4})), task, seed=1)
    return fitted(family, family.defaults, TERMS[task], Sample.plain(X, target(task)))


def manifest() -> Manifest:
    version = DatasetVersion("ab", 3, 2, "t.csv")
    return Manifest(
        model="m",
        task=Task.BINARY,
        target="y",
        entity=None,
        classes=("no", "yes"),
        threshold=0.5,
        schema=Schema(()),
        features=("x",),
        encoder=Encoder((), ()),
        family="logistic",
        params={"C": 1.0},
        evaluation=Evaluation({}, {}, {}, ()),
        gates=GateReport(()),
        profile=Profile((), ColumnProfile("score", Kind.NUMERIC, 0, 0), "roc_auc", 0.5, 0),
        lineage=Lineage(version, "f", "c", "k", {}, 1),
        example={},
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_estimator(model("logistic"), tmp_path)
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "README.md").write_text("card")
    seal(tmp_path, manifest())
    return tmp_path


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("task", list(Task))
def test_a_stored_estimator_scores_the_same_to_the_bit(name: str, task: Task, tmp_path: Path) -> None:
    estimator = model(name, task)
    assert write_estimator(estimator, tmp_path) == ()
    again = read_estimator(tmp_path)
    assert again.score(X).tobytes() == scorer(estimator).score(X).tobytes()
    single = np.concatenate([again.score(X[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(single, again.score(X)[:5], rtol=1e-12)  # BLAS adds a single row in another order


def test_only_data_files_are_written(tmp_path: Path) -> None:
    for name in names():
        write_estimator(model(name), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)


WRITE = """
import sys
from pathlib import Path
from tests.unit.test_training_bundle import model, names
from everfit.training.bundle import write_estimator
for name in names():
    folder = Path(sys.argv[1]) / name
    folder.mkdir()
    write_estimator(model(name), folder)
"""


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    path = [sys.executable, "-c", WRITE, str(tmp_path)]
    subprocess.run(path, check=True, cwd=Path(__file__).parents[2], env={"PYTHONPATH": ":".join([".", *sys.path])})
    for name in names():
        (tmp_path / "here" / name).mkdir(parents=True)
        write_estimator(model(name), tmp_path / "here" / name)
        (file,) = (tmp_path / "here" / name).iterdir()
        assert file.read_bytes() == (tmp_path / name / file.name).read_bytes()


MODULE = """
import numpy as np

class Constant:
    def __init__(self, level=0.5):
        self.level = level
    def fit(self, x, y):
        return self
    def predict_proba(self, x):
        return np.column_stack((np.full(len(x), 1 - self.level), np.full(len(x), self.level)))
"""


def test_a_class_of_ones_own_is_read_only_if_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models_for_bundle_tests.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    choice = ModelChoice.model_validate({"name": "mine", "class": "models_for_bundle_tests.Constant"})
    family, sample = resolve(choice, Task.BINARY, 0), Sample.plain(X, target(Task.BINARY))
    estimator = fitted(family, {"level": 0.25}, TERMS[Task.BINARY], sample)
    types = write_estimator(estimator, tmp_path)
    assert types == ("models_for_bundle_tests.Constant",)
    with pytest.raises(StorageError, match=r"models_for_bundle_tests\.Constant"):
        read_estimator(tmp_path)
    assert read_estimator(tmp_path, types).score(X[:1]).tolist() == [[0.75, 0.25]]


def test_a_tree_with_children_out_of_range_is_refused(tmp_path: Path) -> None:
    forest = model("random_forest")
    forest.estimators_[1].tree_.children_left[0] = 10_000
    (tmp_path / "model.skops").write_bytes(skops.io.dumps(forest))
    with pytest.raises(StorageError, match="not sound"):
        read_estimator(tmp_path)


def test_a_tree_outside_the_built_in_forests_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.skops").write_bytes(skops.io.dumps(model("random_forest").estimators_[0]))
    with pytest.raises(StorageError, match="built-in forests"):
        read_estimator(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_model_is_a_storage_error(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(StorageError):
        read_estimator(tmp_path)


def test_a_text_model_that_is_cut_off_is_a_storage_error(tmp_path: Path) -> None:
    write_estimator(model("lightgbm"), tmp_path)
    text = (tmp_path / "model.txt").read_text()
    (tmp_path / "model.txt").write_text(text[: len(text) // 2])
    with pytest.raises(StorageError, match="not a LightGBM model"):
        read_estimator(tmp_path)


@pytest.mark.parametrize(("field", "value"), [("left", 10_000), ("feature_idx", 9), ("is_categorical", 1)])
def test_a_histogram_tree_that_reaches_out_of_its_arrays_is_refused(field: str, value: int, tmp_path: Path) -> None:
    estimator = model("hist_gradient_boosting")
    estimator._predictors[1][0].nodes[field][0] = value
    (tmp_path / "model.skops").write_bytes(skops.io.dumps(estimator))
    with pytest.raises(StorageError, match="not sound"):
        read_estimator(tmp_path)


def test_an_additive_model_whose_parts_do_not_fit_is_refused(tmp_path: Path) -> None:
    write_estimator(model("spline_logistic"), tmp_path)
    content = json.loads((tmp_path / "additive.json").read_text())
    content["splines"][0]["column"] = 99
    (tmp_path / "additive.json").write_text(json.dumps(content))
    with pytest.raises(StorageError, match="do not fit"):
        read_estimator(tmp_path)


MEMBERS = (Member("logistic", {}, 0.25), Member("random_forest", {}, 0.75))


def blended(folder: Path) -> None:
    for member in MEMBERS:
        write_member(model(member.family), member, folder)
    write_blend(MEMBERS, folder)


def test_a_blend_is_a_file_a_member_and_their_weights(tmp_path: Path) -> None:
    blended(tmp_path)
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["blend.json", "members/logistic/model.skops", "members/random_forest/model.skops"]
    weights = json.loads((tmp_path / "blend.json").read_text())
    assert weights == {"weights": {"logistic": 0.25, "random_forest": 0.75}}


def test_a_blend_scores_as_the_weighted_mean_of_its_members(tmp_path: Path) -> None:
    blended(tmp_path)
    parts = [scorer(model(member.family)).score(X) for member in MEMBERS]
    assert read_estimator(tmp_path).score(X).tobytes() == (0.25 * parts[0] + 0.75 * parts[1]).tobytes()


@pytest.mark.parametrize("weights", ["{}", '{"../../model": 1.0}', '{"logistic": 0.5, "xgboost": 0.5}'])
def test_a_blend_with_other_members_than_it_has_is_refused(weights: str, tmp_path: Path) -> None:
    blended(tmp_path)
    (tmp_path / "blend.json").write_text(f'{{"weights": {weights}}}')
    with pytest.raises(StorageError, match=r"has no members?"):
        read_estimator(tmp_path)


def test_a_folder_without_a_model_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no model"):
        read_estimator(tmp_path)


def test_a_sealed_bundle_opens_to_what_was_sealed(bundle: Path) -> None:
    found = open_bundle(bundle)
    assert set(found.files) == {"model.skops", "card/README.md"}
    assert seal(bundle, manifest()) == found


def test_sealing_twice_writes_the_same_bytes(bundle: Path) -> None:
    before = (bundle / MANIFEST).read_bytes()
    seal(bundle, manifest())
    assert (bundle / MANIFEST).read_bytes() == before


def test_a_changed_byte_is_found_and_named(bundle: Path) -> None:
    path = bundle / "model.skops"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(StorageError, match=r"model\.skops was changed"):
        open_bundle(bundle)


def test_a_missing_file_is_named(bundle: Path) -> None:
    (bundle / "card" / "README.md").unlink()
    with pytest.raises(StorageError, match=r"card/README\.md is missing"):
        open_bundle(bundle)


def test_an_extra_file_is_named(bundle: Path) -> None:
    (bundle / "extra.pkl").write_bytes(b"")
    with pytest.raises(StorageError, match=r"extra\.pkl does not belong"):
        open_bundle(bundle)


def test_a_symbolic_link_is_refused(bundle: Path) -> None:
    (bundle / "link").symlink_to(bundle / "model.skops")
    with pytest.raises(StorageError, match="symbolic link"):
        open_bundle(bundle)


def test_an_unsealed_folder_is_no_bundle(tmp_path: Path) -> None:
    write_estimator(model("logistic"), tmp_path)
    with pytest.raises(StorageError, match="not a finished bundle"):
        open_bundle(tmp_path)


def test_a_manifest_that_is_cut_off_is_a_storage_error(bundle: Path) -> None:
    path = bundle / MANIFEST
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StorageError, match="not a Manifest"):
        open_bundle(bundle)
