"""XGBoost's estimators in its own binary JSON, `model.ubj`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from everfit.errors import MissingExtra, StorageError
from everfit.training.scorers import BoosterScorer

FILE = "model.ubj"


def write(estimator: Any, path: Path) -> None:
    """Writes the fitted estimator's booster."""
    path.write_bytes(estimator.get_booster().save_raw("ubj"))


def read(path: Path) -> BoosterScorer:
    """The booster, ready to score. StorageError for a file that is none, MissingExtra without the package."""
    try:
        import xgboost
    except ImportError as error:
        raise MissingExtra(
            "the model needs the package xgboost", where=str(path), fix='pip install "everfit[xgboost]"'
        ) from error
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(path)
    except xgboost.core.XGBoostError as error:
        raise StorageError(
            f"not an XGBoost model: {str(error).splitlines()[0]}", where=str(path), fix="restore the bundle"
        ) from error
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    return BoosterScorer(booster, str(objective).startswith(("binary:", "multi:")))
