"""The metric foretold from the prediction log, without labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from tests.unit.serving_models import model, table

from everfit.features.encoder import transform
from everfit.flow.performance import foretold
from everfit.monitoring.estimate import scaled
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.table import Kind
from everfit.training import residuals


def answered() -> pl.DataFrame:
    """What a model of numbers was asked, as the log's frame has it, with the truth."""
    regression = model("risk")
    rows = table(600).to_dicts()
    columns = regression.parser.columns([{name: row[name] for name in regression.parser.required} for row in rows])
    features = regression.features(columns)
    logged = {f"features.{name}": pl.Series(values.tolist(), strict=False) for name, values in features.items()}
    return pl.DataFrame({**logged, "score": regression.scores(columns), "truth": table(600)["risk"]})


def test_a_regressions_error_is_foretold_from_what_was_logged() -> None:
    about, seen = model("risk").manifest, answered()
    columns = {name: seen[f"features.{name}"].to_numpy() for name in about.features}
    x = np.column_stack([transform(about.encoder, columns), seen["score"].to_numpy()])
    error = (seen["truth"] - seen["score"]).to_numpy()
    fitted = residuals.fit(x, error, seed=1)
    assert fitted is not None
    known = Profile((), ColumnProfile("score", Kind.NUMERIC, 0, 0), "rmse", 10.0, 600)
    bare = replace(about, profile=known)
    assert foretold(bare, seen) is None
    found = foretold(replace(bare, profile=replace(known, loss_model=scaled(fitted, x, error))), seen)
    assert found is not None
    assert (found.metric, found.relative) == ("rmse", True)
    assert found.current == pytest.approx(float(np.sqrt(np.mean(error**2))), rel=1e-6)
    assert found.drop == pytest.approx(0.0, abs=1e-6)
