"""The bundle as MLflow loads it: the same scores as the server's, from frames, rows and arrays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.unit.serving_models import GOOD, SOURCE, bundle, model, table, without

from everfit.errors import RequestError
from everfit.serving.pyfunc import _load_pyfunc

CLIENT = """
import sys
import mlflow.pyfunc, pandas as pd

bundle, rows, saved = sys.argv[1:]
mlflow.pyfunc.save_model(saved, loader_module="everfit.serving.pyfunc", data_path=bundle, pip_requirements=["everfit"])
answer = mlflow.pyfunc.load_model(saved).predict(pd.read_json(rows, dtype=False))
print(repr(float(answer["score"][0])))
"""


def rows(count: int = 30) -> list[dict[str, Any]]:
    return table(count).select(model().manifest.schema.names).drop("Churn").to_dicts()


def expected(given: list[dict[str, Any]]) -> list[tuple[str | float, float]]:
    return [(answer.prediction, answer.score) for answer in model().answer(given)]


@pytest.mark.parametrize(
    "form",
    [
        pd.DataFrame,
        pl.DataFrame,
        list,
        lambda given: {name: [row[name] for row in given] for name in given[0]},
        lambda given: {name: np.array([row[name] for row in given]) for name in given[0]},
        lambda given: np.array([[row[name] for name in model().parser.required] for row in given], dtype=object),
    ],
    ids=["pandas", "polars", "rows", "columns", "columns of arrays", "array"],
)
def test_every_form_of_input_scores_as_the_server_does(form: Any) -> None:
    answer = _load_pyfunc(str(bundle())).predict(form(rows()))
    assert list(zip(answer["prediction"], answer["score"], strict=True)) == expected(rows())


def test_one_row_may_be_a_dict() -> None:
    answer = _load_pyfunc(str(bundle())).predict(dict(GOOD))
    assert answer["score"].tolist() == [expected([dict(GOOD)])[0][1]]


def test_each_class_has_its_probability() -> None:
    answer = _load_pyfunc(str(bundle())).predict(rows())
    classes = model().manifest.classes
    assert list(answer.columns) == ["prediction", "score", *(f"probability_{name}" for name in classes)]
    assert answer[f"probability_{classes[-1]}"].tolist() == answer["score"].tolist()
    assert answer.filter(like="probability_").sum(axis=1).tolist() == pytest.approx([1.0] * 30)


def test_a_regression_has_no_probabilities() -> None:
    answer = _load_pyfunc(str(bundle("risk"))).predict(rows())
    assert list(answer.columns) == ["prediction", "score"]


def test_the_answer_keeps_the_index_of_the_frame() -> None:
    frame = pd.DataFrame(rows(3), index=["a", "b", "c"])
    assert list(_load_pyfunc(str(bundle())).predict(frame).index) == ["a", "b", "c"]


def test_missing_values_and_further_columns_of_a_frame_are_fine() -> None:
    frame = pd.DataFrame([{**GOOD, "tenure": np.nan, "plan": None, "note": "x"}])
    (score,) = _load_pyfunc(str(bundle())).predict(frame)["score"]
    assert score == expected([{**GOOD, "tenure": None, "plan": None}])[0][1]


def test_an_impossible_value_is_refused_in_a_frame_as_in_a_request() -> None:
    frame = pd.DataFrame([GOOD, {**GOOD, "tenure": -5}])
    with pytest.raises(RequestError, match=r"rows\[1\].tenure: -5.0 is impossible; allowed: 0 to 120"):
        _load_pyfunc(str(bundle())).predict(frame)


def test_an_array_of_another_width_is_refused() -> None:
    with pytest.raises(RequestError, match=r"shape \(2, 3\) for 5 columns"):
        _load_pyfunc(str(bundle())).predict(np.zeros((2, 3)))


def test_an_absent_column_is_named() -> None:
    with pytest.raises(Exception, match="charges"):
        _load_pyfunc(str(bundle())).predict(pd.DataFrame([without(GOOD, "charges")]))


def test_mlflow_loads_it_in_a_process_that_knows_nothing_of_the_project(tmp_path: Path) -> None:
    request = tmp_path / "rows.json"
    request.write_text(pd.DataFrame([GOOD]).to_json(orient="records"))
    source = str(Path(__file__).parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": source, "MLFLOW_DISABLE_TELEMETRY": "true"}
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CLIENT, str(bundle()), str(request), str(tmp_path / "saved")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert said.returncode == 0, said.stderr
    assert float(said.stdout) == expected([dict(GOOD)])[0][1]


def test_nothing_of_the_model_is_a_pickle() -> None:
    names = sorted(path.name for path in bundle().iterdir())
    assert names == ["bundle.json", "compiled.npz", "features.py", "model.skops"]
    assert (bundle() / "features.py").read_text() == SOURCE
