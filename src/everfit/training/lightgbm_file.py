"""LightGBM's estimators in its own text form, `model.txt`: every number with all its digits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from everfit.errors import MissingExtra, StorageError
from everfit.training.scorers import LightGbmScorer

FILE = "model.txt"
_CLASSIFIERS = ("binary", "multiclass", "cross_entropy")


def write(estimator: Any, path: Path) -> None:
    """Writes the fitted estimator's booster; the number of threads, which changes nothing, is written as 1."""
    text = estimator.booster_.model_to_string()
    path.write_text(re.sub(r"^\[num_threads: \d+\]$", "[num_threads: 1]", text, flags=re.MULTILINE), encoding="utf-8")


def read(path: Path) -> LightGbmScorer:
    """The booster, ready to score. StorageError for a file that is none, MissingExtra without the package."""
    try:
        import lightgbm
    except ImportError as error:
        raise MissingExtra(
            "the model needs the package lightgbm", where=str(path), fix='pip install "everfit[lightgbm]"'
        ) from error
    text = path.read_text(encoding="utf-8", errors="replace")
    # What does not begin like one makes the library print before it raises.
    objective = re.search(r"^objective=(\w+)", text, flags=re.MULTILINE) if text.startswith("tree\n") else None
    try:
        if objective is None or not text.rstrip().endswith("pandas_categorical:null"):
            raise lightgbm.basic.LightGBMError("it is cut off or something else")
        booster = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise StorageError(f"not a LightGBM model: {error}", where=str(path), fix="restore the bundle") from error
    return LightGbmScorer(booster, objective[1].startswith(_CLASSIFIERS))
