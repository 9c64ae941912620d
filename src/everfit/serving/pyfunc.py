"""The bundle as an MLflow model: `mlflow.pyfunc.load_model("models:/churn@production").predict(frame)`.

MLflow calls `_load_pyfunc` of the module that a model's file `MLmodel` names. The process needs everfit, the
model's library and pandas (which MLflow brings); it needs nothing of the project, and no pickle is read. Values are
read and refused as the server does it. Estimators of a class of one's own are not loaded this way, for nobody is there
to say that the class is trusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from everfit.data.schema import arrays, conform
from everfit.errors import RequestError
from everfit.records.table import Schema
from everfit.serving.model import Model, open_model
from everfit.serving.rows import Columns


def _load_pyfunc(path: str) -> PythonModel:
    return PythonModel(open_model(Path(path)))


class PythonModel:
    """What MLflow wraps."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def predict(self, model_input: Any, params: Mapping[str, object] | None = None) -> Any:
        """A pandas DataFrame of one row an input row: `prediction` (class or value), `score` (the probability of the
        positive class, for several classes of the predicted one; or the value), and for classification
        `probability_CLASS` for each class.

        `model_input` is a pandas or polars DataFrame, a list of rows, one row or columns as a dict, or a 2-d array
        whose columns are those that the model requires, in the schema's order. Further columns are ignored in frames
        and refused in rows. `params` are not used. Raises RequestError or SourceError for values that cannot be read.
        """
        import pandas as pd

        scores = self._model.scores(self._columns(model_input))
        answers = self._model.judge(scores)
        table: dict[str, Any] = {"prediction": [a for a, _ in answers], "score": [s for _, s in answers]}
        for index, name in enumerate(self._model.manifest.classes):
            table[f"probability_{name}"] = scores[:, index]
        return pd.DataFrame(table, index=model_input.index if isinstance(model_input, pd.DataFrame) else None)

    def _columns(self, given: Any) -> Columns:
        if isinstance(given, Mapping):
            given = _rows(given)
        if isinstance(given, Sequence):
            return self._model.parser.columns(given)
        columns = self._conformed(self._frame(given))
        self._model.parser.check(columns)
        return columns

    def _frame(self, given: Any) -> pl.DataFrame:
        required = self._model.parser.required
        if isinstance(given, pl.DataFrame):
            return given
        if not isinstance(given, np.ndarray):
            return pl.from_pandas(given[[name for name in required if name in given.columns]])
        if given.ndim != 2 or given.shape[1] != len(required):
            raise RequestError(
                f"an array of shape {given.shape} for {len(required)} columns",
                where="model_input",
                fix="give one column for each of: " + ", ".join(required),
            )
        return pl.DataFrame({name: given[:, i].tolist() for i, name in enumerate(required)}, strict=False)

    def _conformed(self, frame: pl.DataFrame) -> Columns:
        required = self._model.parser.required
        schema = Schema(tuple(self._model.manifest.schema[name] for name in required))
        return arrays(conform(frame, schema), schema, required)


def _rows(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row, or columns of equal length, as rows."""
    if not any(isinstance(value, (list, tuple, np.ndarray)) for value in given.values()):
        return [dict(given)]
    listed = [value.tolist() if isinstance(value, np.ndarray) else value for value in given.values()]
    return [dict(zip(given, values, strict=True)) for values in zip(*listed, strict=True)]
