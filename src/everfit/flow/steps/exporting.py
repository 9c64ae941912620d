"""From a fitted estimator to the forms that other programs read, each held against what the bundle says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl

from everfit.features.encoder import output_names
from everfit.flow.steps.features import matrix
from everfit.records import codec
from everfit.records.export import Export, ExportedForm
from everfit.records.features import Encoder
from everfit.records.model import Problem
from everfit.training import bundle, onnx_file

# What the forms take and what came of each.
FORMS = "forms.json"
# Rows of the table, spread over it, on which a form is compared.
_REAL = 10_000


def exported(
    export: tuple[str, ...],
    estimator: Path,
    trusted: tuple[str, ...],
    problem: Problem,
    encoder: Encoder,
    features: pl.DataFrame,
    into: Path,
) -> Path:
    """A folder with the forms that were asked for and `forms.json`; an empty one where none was."""
    if not export:
        return into
    rows = features.gather_every(max(1, features.height // _REAL))
    found = []
    for form in export:
        if form == "skops":
            found.append(_skops(estimator, into))
        else:
            found.append(_onnx(estimator, trusted, matrix(encoder, rows), into))
    (into / FORMS).write_bytes(codec.encode(Export(output_names(encoder), problem.classes, tuple(found))))
    return into


def exports(exported: Path) -> tuple[ExportedForm, ...]:
    """What came of each form, for the manifest and the card."""
    if not (exported / FORMS).is_file():
        return ()
    return codec.decode(Export, (exported / FORMS).read_bytes(), where=str(exported / FORMS)).forms


def _skops(estimator: Path, into: Path) -> ExportedForm:
    """The bundle's own file, where it holds one of this form."""
    if not (estimator / bundle.SKOPS).is_file():
        held = ", ".join(sorted(path.name for path in estimator.iterdir()))
        return ExportedForm("skops", reason=f"the bundle holds this family as {held}, not as a scikit-learn estimator")
    shutil.copyfile(estimator / bundle.SKOPS, into / bundle.SKOPS)
    return ExportedForm("skops", bundle.SKOPS)


def _onnx(
    estimator: Path, trusted: tuple[str, ...], rows: np.ndarray[tuple[int, int], np.dtype[np.float64]], into: Path
) -> ExportedForm:
    """Kept only where it says what the bundle's estimator says, before calibration."""
    scorer = bundle.read_estimator(estimator, trusted)
    try:
        model = onnx_file.convert(scorer, rows.shape[1])
        apart = onnx_file.difference(onnx_file.score(model, rows), scorer.score(rows))
    except ValueError as error:
        return ExportedForm("onnx", reason=str(error))
    if not apart <= onnx_file.TOLERANCE:
        least = f"more than {onnx_file.TOLERANCE:g} from the bundle's"
        reason = f"over {len(rows):,} rows its scores are up to {apart:.2g} apart, {least}"
        return ExportedForm("onnx", rows=len(rows), difference=apart if np.isfinite(apart) else 0.0, reason=reason)
    (into / onnx_file.FILE).write_bytes(model)
    return ExportedForm("onnx", onnx_file.FILE, len(rows), apart)
