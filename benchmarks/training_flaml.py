"""FLAML on one split, in its own environment: `python training_flaml.py FOLDER` reads the table that
`training_recipes` wrote there and writes the scores of the test rows. It imports nothing of everfit."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    import numpy as np
    import pandas as pd
    from flaml import AutoML  # type: ignore[import-not-found]  # of another environment

    folder = Path(sys.argv[1])
    asked = json.loads((folder / "asked.json").read_text())
    train, test = (pd.read_csv(folder / f"{part}.csv") for part in ("train", "test"))
    for frame in (train, test):
        for name in frame.select_dtypes(exclude="number"):
            frame[name] = frame[name].astype("category")
    regression = asked["task"] == "regression"
    metric = "r2" if regression else "roc_auc" if asked["task"] == "binary" else "roc_auc_ovr"
    found = AutoML()
    found.fit(
        train,
        np.load(folder / "truth.npy"),
        task="regression" if regression else "classification",
        metric=metric,
        time_budget=asked["seconds"],
        n_jobs=1,
        seed=0,
        verbose=0,
    )
    scores = found.predict(test) if regression else found.predict_proba(test)
    np.save(folder / "scores.npy", np.asarray(scores, dtype=np.float64))
    (folder / "family.txt").write_text(str(found.best_estimator))


if __name__ == "__main__":
    main()
