"""CatBoost's estimators in its own binary form, `model.cbm`, without what changes from one training to the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from everfit.errors import MissingExtra, StorageError
from everfit.training.scorers import CatBoostScorer

FILE = "model.cbm"


def write(estimator: Any, path: Path) -> None:
    """Writes the fitted estimator. Of what it says about its training only the loss stays, by which scores become
    probabilities: the rest holds times, random names and the number of threads."""
    notes = estimator.get_metadata()
    for name in list(notes.keys()):
        if name == "params":
            notes[name] = json.dumps({"loss_function": json.loads(notes[name])["loss_function"]})
        elif name != "class_params":
            notes[name] = "{}"
    estimator.save_model(str(path), format="cbm")


def read(path: Path) -> CatBoostScorer:
    """The model, ready to score. StorageError for a file that is none, MissingExtra without the package."""
    try:
        import catboost
    except ImportError as error:
        raise MissingExtra(
            "the model needs the package catboost", where=str(path), fix='pip install "everfit[catboost]"'
        ) from error
    model = catboost.CatBoost()
    try:
        model.load_model(blob=path.read_bytes())
    except catboost.CatBoostError as error:
        raise StorageError(f"not a CatBoost model: {error}", where=str(path), fix="restore the bundle") from error
    return CatBoostScorer(model, "class_params" in model.get_metadata())
