"""The gate: a compiled form is served only if it is the library's own predictor to the last bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.compiled.edges import at_splits
from everfit.compiled.encoding import CompiledEncoder
from everfit.compiled.scorer import CompiledScorer, calibrator
from everfit.records.calibration import Calibration
from everfit.records.compiled import Form, Trees
from everfit.records.exactness import Exactness
from everfit.records.features import Encoder

Matrix = NDArray[np.float64]
Features = Mapping[str, NDArray[Any]]

ROWS = 100_000
TOLERANCE = 1e-12
_BLOCK = 20_000
_NEVER_SEEN = "\N{SNOWMAN} never seen"


def compare(
    form: Form,
    encoder: Encoder,
    features: Features,
    transform: Callable[[Features], Matrix],
    score: Callable[[Matrix], Matrix],
    calibration: Calibration | None = None,
    calibrate: Callable[[Matrix], Matrix] | None = None,
    rows: int = ROWS,
) -> Exactness:
    """The compiled encoder against `transform`, the compiled form, by both of its ways, against `score`, the library's
    own, and the compiled calibration against `calibrate`.

    `features` are real ones, by name; of them up to a fifth of `rows` is compared as they are, with missing values and
    with levels never seen. The others stand at every split and on both sides of it, as many times `rows` as that
    takes. Scores must be equal to 1e-12, relative above 1; to the bit where the library's own sums are float32 (but in
    a blend, which is summed in float64).
    """
    compiled, scorers = (
        CompiledEncoder(encoder),
        [CompiledScorer(form, together=together) for together in (True, False)],
    )
    apply = calibrator(calibration, form.classes)
    real = _varied(features, encoder, rows // 5)
    matrix = transform(real)
    if not np.array_equal(compiled.many(compiled.raw(real)), matrix):
        return Exactness(False, len(matrix), reason="the compiled encoder gives other numbers than the one of training")
    exact = len(form.parts) == 1 and isinstance(form.parts[0], Trees) and form.parts[0].single_sum
    count, thresholds, worst, curves = 0, 0, 0.0, 0.0
    for block, splits in _blocks(matrix, at_splits(form, matrix), rows):
        count, thresholds = count + len(block), thresholds + splits
        expected = score(block)
        worst = max(worst, *(difference(expected, scorer.score(block)) for scorer in scorers))
        curves = max(curves, difference(calibrate(expected), apply(expected)) if calibrate else 0.0)
    allowed = 0.0 if exact else TOLERANCE
    reason = "" if worst <= allowed else f"scores differ by {worst:.3g}; {allowed:.3g} is allowed"
    if curves > TOLERANCE:
        reason = f"calibrated scores differ by {curves:.3g}; {TOLERANCE:.3g} is allowed"
    return Exactness(not reason, count, thresholds, max(worst, curves), reason)


def difference(expected: Matrix, found: Matrix) -> float:
    """The greatest difference, relative where the expected score exceeds 1; infinite for scores of another shape or
    that are no numbers on one side only.

    >>> difference(np.array([0.5, 200.0]), np.array([0.5, 201.0]))
    0.005
    """
    if expected.shape != found.shape:
        return float("inf")
    with np.errstate(invalid="ignore"):
        apart = np.abs(expected - found) / np.maximum(1.0, np.abs(expected))
    apart[(expected == found) | (np.isnan(expected) & np.isnan(found))] = 0.0
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))


def _blocks(real: Matrix, edges: Iterator[Matrix], rows: int) -> Iterator[tuple[Matrix, int]]:
    """The real rows, then the edges in blocks, with how many edges each block holds. Without enough edges, real rows
    are added up to `rows`, moved about at random."""
    yield real, 0
    total = len(real)
    while taken := list(_some(edges)):
        block = np.concatenate(taken)
        total += len(block)
        yield block, len(block)
    random = np.random.default_rng(1)
    while total < rows and len(real):
        block = real[random.integers(len(real), size=min(_BLOCK, rows - total))]
        total += len(block)
        yield block + random.normal(0, 0.3, block.shape) * (random.random(block.shape) < 0.3), 0


def _some(edges: Iterator[Matrix]) -> Iterator[Matrix]:
    """Trees' rows until a block is full."""
    total = 0
    for block in edges:
        yield block
        total += len(block)
        if total >= _BLOCK:
            return


def _varied(features: Features, encoder: Encoder, rows: int) -> dict[str, NDArray[Any]]:
    """Real rows three times: as they are, with a third of the values missing, and with a third infinite or unseen."""
    count = len(next(iter(features.values()), ()))
    random = np.random.default_rng(2)
    chosen = random.permutation(count)[: max(1, rows // 3)]
    numeric = {e.name for e in encoder.numeric}
    found = {}
    for name in encoder.inputs:
        column = features[name][chosen]
        missing, odd = (np.nan, np.inf) if name in numeric else (None, _NEVER_SEEN)
        variants = [column, _replaced(column, missing, random), _replaced(column, odd, random)]
        found[name] = np.concatenate(variants)
    return found


def _replaced(column: NDArray[Any], value: object, random: np.random.Generator) -> NDArray[Any]:
    changed = column.copy()
    changed[random.random(len(column)) < 1 / 3] = value
    return changed
