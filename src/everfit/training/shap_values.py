"""SHAP values of tree models (Lundberg et al., 2020, TreeSHAP), by the extra `shap`."""

from __future__ import annotations

from typing import Any

import numpy as np

from everfit.errors import MissingExtra, StepFailed
from everfit.training.scorers import Matrix, Scorer, library, package

_TREES = ("RandomForest", "GradientBoosting", "HistGradientBoosting", "ExtraTrees")


def shap_values(scorer: Scorer, matrix: Matrix) -> Matrix | None:
    """(rows, columns, outputs) what each column adds to the model's raw output; None for a model that is no tree model.

    Of two classes there is one output, the positive one's. Raises MissingExtra without the library, StepFailed where it
    cannot read the trees.
    """
    trees = _trees(scorer)
    if trees is None:
        return None
    try:
        import shap
    except ImportError as error:
        raise MissingExtra(
            "SHAP values need the package shap", where="training.shap", fix='pip install "everfit[shap]"'
        ) from error
    try:
        found = np.asarray(shap.TreeExplainer(trees).shap_values(matrix, check_additivity=False), dtype=np.float64)
    except Exception as error:
        raise StepFailed(
            f"SHAP values could not be computed: {type(error).__name__}: {error}",
            where="training.shap",
            fix="leave the setting out",
        ) from error
    outputs = found if found.ndim == 3 else found[:, :, None]
    return outputs[:, :, 1:] if outputs.shape[2] == 2 else outputs


def _trees(scorer: Scorer) -> Any:
    """The library's own object where it is one of trees."""
    found = library(scorer)
    return found if package(found) or type(found).__name__.startswith(_TREES) else None
