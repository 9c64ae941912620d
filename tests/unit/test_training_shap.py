"""SHAP values of tree models add up to what the model says; others have none."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from everfit.errors import MissingExtra
from everfit.evaluation.importance import by_feature
from everfit.training.scorers import scorer
from everfit.training.shap_values import shap_values

pytestmark = pytest.mark.filterwarnings("ignore")  # shap warns of numpy's and numba's ways


def data(classes: int = 2) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    x = np.random.default_rng(1).normal(size=(300, 4))
    return x, np.digitize(x[:, 2] + 0.3 * x[:, 0], np.linspace(-0.5, 0.5, classes - 1))


def boosted(kind: str, classes: int) -> Any:
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
    from xgboost import XGBClassifier

    made: dict[str, Any] = {
        "xgboost": XGBClassifier(n_estimators=10, max_depth=3),
        "lightgbm": LGBMClassifier(n_estimators=10, verbose=-1),
        "forest": RandomForestClassifier(10, random_state=1),
        "gradient": GradientBoostingClassifier(n_estimators=10, random_state=1),
        "histogram": HistGradientBoostingClassifier(max_iter=10),
    }
    return made[kind].fit(*data(classes))


@pytest.mark.parametrize("kind", ["xgboost", "lightgbm", "forest", "gradient", "histogram"])
def test_the_feature_that_decides_comes_first(kind: str) -> None:
    x, _ = data()
    found = shap_values(scorer(boosted(kind, 2)), x[:50])
    assert found is not None
    assert found.shape == (50, 4, 1)
    assert [each.feature for each in by_feature(found, ("a", "b", "c", "d"))][:2] == ["c", "a"]


def test_several_classes_have_an_output_each() -> None:
    x, _ = data(3)
    found = shap_values(scorer(boosted("lightgbm", 3)), x[:20])
    assert found is not None
    assert found.shape == (20, 4, 3)


def test_the_values_add_up_to_the_models_raw_output() -> None:
    x, _ = data()
    model = boosted("lightgbm", 2)
    found = shap_values(scorer(model), x)
    assert found is not None
    rest = model.predict(x, raw_score=True) - found[:, :, 0].sum(axis=1)
    assert np.ptp(rest) < 1e-9


def test_a_linear_model_has_none() -> None:
    from sklearn.linear_model import LogisticRegression

    assert shap_values(scorer(LogisticRegression().fit(*data())), data()[0]) is None


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(MissingExtra, match=r"everfit\[shap\]"):
        shap_values(scorer(boosted("lightgbm", 2)), data()[0])
