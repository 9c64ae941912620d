import numpy as np
import pytest

from everfit.errors import ProjectError
from everfit.evaluation.importance import Columns, importance

ROWS = 200
RANDOM = np.random.default_rng(0)
COLUMNS = {
    "strong": RANDOM.normal(size=ROWS),
    "weak": RANDOM.normal(size=ROWS),
    "unused": np.array(["a", None] * (ROWS // 2), dtype=object),
}
TARGET = 3 * COLUMNS["strong"] + COLUMNS["weak"]


def score(columns: Columns) -> float:
    return -float(np.abs(3 * columns["strong"] + columns["weak"] - TARGET).mean())


def test_features_are_ranked_by_what_the_model_loses_without_them() -> None:
    found = importance(score, COLUMNS, ("unused", "weak", "strong"), repeats=3, seed=1)
    assert [each.feature for each in found] == ["strong", "weak", "unused"]
    assert found[0].value > 2 * found[1].value > 0


def test_a_feature_that_the_model_does_not_read_has_importance_zero() -> None:
    assert importance(score, COLUMNS, ("unused",), repeats=2, seed=1)[0].value == 0.0


def test_a_features_value_does_not_depend_on_the_other_features() -> None:
    alone = importance(score, COLUMNS, ("weak",), repeats=2, seed=5)
    among = importance(score, COLUMNS, ("strong", "unused", "weak"), repeats=2, seed=5)
    assert alone[0] in among


def test_another_seed_shuffles_otherwise() -> None:
    one, two = (importance(score, COLUMNS, ("weak",), repeats=1, seed=seed) for seed in (1, 2))
    assert one != two


def test_the_columns_are_left_as_they_were() -> None:
    before = {name: values.copy() for name, values in COLUMNS.items()}
    importance(score, COLUMNS, tuple(COLUMNS), repeats=1, seed=1)
    assert all((COLUMNS[name] == before[name]).all() for name in before)


def test_no_repeat_is_refused() -> None:
    with pytest.raises(ProjectError, match="at least one repeat"):
        importance(score, COLUMNS, ("weak",), repeats=0, seed=1)
