"""From a fitted estimator to the compiled form that is served, and the comparison of the two."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from everfit.evaluation.calibration import calibrator
from everfit.features.encoder import transform
from everfit.flow.steps.features import arrays
from everfit.records.calibration import Calibration
from everfit.records.exactness import Exactness
from everfit.records.features import Encoder
from everfit.records.model import Problem
from everfit.training import bundle
from everfit.training.flatten.form import flat
from everfit.training.scorers import Scorer

# Rows of the table that the comparison draws from.
_REAL = 50_000


def compiled(estimator: Path, trusted: tuple[str, ...], problem: Problem, into: Path) -> Path:
    """A folder with the estimator's flat arrays, or an empty one where it has no such form."""
    from everfit.compiled import file

    try:
        form = flat(bundle.read_estimator(estimator, trusted), len(problem.classes))
    except ValueError:
        return into
    file.write(form, into / file.FILE)
    return into


def exactness(
    estimator: Path,
    compiled: Path,
    trusted: tuple[str, ...],
    problem: Problem,
    encoder: Encoder,
    features: pl.DataFrame,
    calibration: Calibration,
) -> Exactness:
    """What was written, held against the library's own predictor on real rows and at every split."""
    from everfit.compiled import file
    from everfit.compiled.exactness import compare

    library = bundle.read_estimator(estimator, trusted)
    if not (compiled / file.FILE).is_file():
        return Exactness(False, reason=_why_not(library, len(problem.classes)))
    try:
        return compare(
            file.read(compiled / file.FILE),
            encoder,
            arrays(features.gather_every(max(1, features.height // _REAL))),
            transform=lambda found: transform(encoder, found),
            score=library.score,
            calibration=calibration,
            calibrate=calibrator(calibration),
        )
    except (OSError, RuntimeError) as error:
        return Exactness(False, reason=f"this machine makes no code of it: {error}")


def _why_not(library: Scorer, classes: int) -> str:
    try:
        flat(library, classes)
    except ValueError as error:
        return str(error)
    return "no compiled form was written"
