"""What a model takes and answers, for MLflow: its signature and an input example."""

from __future__ import annotations

from typing import Any

from everfit.records.model import Manifest


def shape(mlflow: Any, manifest: Manifest) -> dict[str, Any]:
    """Both, as the arguments of MLflow's `log_model`."""
    import pandas as pd

    types = mlflow.types.schema
    # Any number will do, and the model's own parser is stricter: MLflow would refuse whole numbers for a float column.
    kinds = {name: "string" if isinstance(v, str) else types.AnyType() for name, v in manifest.example.items()}
    inputs = [types.ColSpec(kind, name, required=False) for name, kind in kinds.items()]
    answers = {"prediction": "string" if manifest.classes else "double", "score": "double"}
    outputs = types.Schema([types.ColSpec(kind, name) for name, kind in answers.items()])
    signature = mlflow.models.ModelSignature(types.Schema(inputs), outputs)
    return {"signature": signature, "input_example": pd.DataFrame([dict(manifest.example)])}
