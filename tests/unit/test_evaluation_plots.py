import subprocess
import sys
from io import BytesIO

import matplotlib.image
import numpy as np
import pytest
from numpy.typing import NDArray

from everfit.errors import StepFailed
from everfit.evaluation.canvas import short
from everfit.evaluation.metrics import Floats
from everfit.evaluation.plots import pictures
from everfit.records.model import Importance
from everfit.records.table import Task

RANDOM = np.random.default_rng(0)
IMPORTANCE = tuple(Importance(f"feature {index}", 0.1 / (index + 1) - 0.01) for index in range(14))


def binary(rows: int = 60, seed: int = 0) -> tuple[NDArray[np.int64], Floats]:
    random = np.random.default_rng(seed)
    chance = random.random(rows)
    return (random.random(rows) < chance).astype(np.int64), np.column_stack([1 - chance, chance])


def pixels(png: bytes) -> NDArray[np.float32]:
    return np.asarray(matplotlib.image.imread(BytesIO(png), format="png")[:, :, :3])


def test_a_classifier_has_four_pictures_of_the_stated_size() -> None:
    found = pictures(Task.BINARY, *binary(), ("No", "Yes"), IMPORTANCE)
    assert sorted(found) == ["calibration.png", "confusion_matrix.png", "feature_importance.png", "roc_curve.png"]
    for png in found.values():
        assert pixels(png).shape == (600, 800, 3)
        assert pixels(png).std() > 0.05


def test_equal_inputs_give_equal_bytes_and_others_do_not() -> None:
    one, again, other = (pictures(Task.BINARY, *binary(seed=seed), ("No", "Yes"), IMPORTANCE) for seed in (1, 1, 2))
    assert one == again
    assert one["roc_curve.png"] != other["roc_curve.png"]


def test_a_picture_holds_no_time_and_no_version() -> None:
    for png in pictures(Task.BINARY, *binary(), ("No", "Yes"), ()).values():
        assert not any(word in png for word in (b"tEXt", b"iTXt", b"tIME"))


def test_the_threshold_moves_the_confusion_matrix() -> None:
    y, scores = binary()
    low, high = (pictures(Task.BINARY, y, scores, ("No", "Yes"), (), threshold) for threshold in (0.2, 0.8))
    assert low["confusion_matrix.png"] != high["confusion_matrix.png"]
    assert low["calibration.png"] == high["calibration.png"]


@pytest.mark.parametrize("count", [3, 12, 45])
def test_any_number_of_classes_can_be_drawn(count: int) -> None:
    scores = RANDOM.dirichlet(np.ones(count), 100)
    names = tuple(f"a rather long class name {index}" for index in range(count))
    assert len(pictures(Task.MULTICLASS, RANDOM.integers(0, count, 100), scores, names, ())) == 4


@pytest.mark.parametrize("rows", [1, 50, 3_000])
def test_a_regression_model_has_three_pictures_for_few_rows_and_for_many(rows: int) -> None:
    y = RANDOM.normal(size=rows)
    found = pictures(Task.REGRESSION, y, 0.9 * y, (), IMPORTANCE)
    assert sorted(found) == ["feature_importance.png", "predicted_vs_actual.png", "residuals.png"]


def test_a_constant_prediction_of_many_rows_can_be_drawn() -> None:
    assert len(pictures(Task.REGRESSION, RANDOM.normal(size=2_000), np.ones(2_000), (), ())) == 3


def test_test_rows_of_one_class_and_hostile_names_are_no_obstacle() -> None:
    scores = np.tile([0.8, 0.2], (9, 1))
    hostile = ("_private", "$\\frac{x$ 日本\nnew line")
    assert len(pictures(Task.BINARY, np.zeros(9, dtype=np.int64), scores, hostile, (Importance("$_{", 0.0),))) == 4


def test_scores_that_do_not_fit_the_rows_are_refused() -> None:
    with pytest.raises(StepFailed, match="shape"):
        pictures(Task.BINARY, np.zeros(3, dtype=np.int64), np.ones((2, 2)), ("No", "Yes"), ())


def test_pyplot_is_never_loaded_and_matplotlib_only_when_something_is_drawn() -> None:
    code = (
        "import sys, numpy; from everfit.evaluation.plots import pictures; from everfit.records.table import Task; "
        "assert 'matplotlib' not in sys.modules; "
        "pictures(Task.REGRESSION, numpy.arange(3.0), numpy.arange(3.0), (), ()); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    assert short("x" * 10 + "y" * 90, 20) == "x" * 10 + "y" + "…" + "y" * 8
    assert len(short("z" * 100, 24)) == 24
