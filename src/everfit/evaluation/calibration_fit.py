"""A calibration fitted on out-of-fold scores, and kept only where it makes the probabilities better beyond noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import scipy
from numpy.typing import NDArray

from everfit.errors import ProjectError
from everfit.evaluation import losses
from everfit.evaluation.calibration import Floats, calibrator, expit, logit
from everfit.evaluation.metrics import area_under_roc
from everfit.records.calibration import Calibration, Isotonic, Method, Platt

Classes = NDArray[np.int64]

_FOLDS = 5
# A gain counts when it is above this many of its standard errors: one-sided 5%.
_NOISE = 1.645
# Normalising several classes may reorder rows; more than this much AUC is not given away for calibration.
_AUC_ROOM = 0.001
_STEPS = 50


def choose(scores: Floats, y: Classes, asked: str, seed: int) -> Calibration:
    """The calibration for scores like these: `asked` is auto, none, isotonic or platt.

    `scores` are (rows, classes) out-of-fold probabilities, `y` (rows,) class indices. Each method is judged by
    five-fold cross-validation on these rows. With `auto` a method is taken when it lowers the Brier score by more than
    1.645 standard errors of the rows' differences (one-sided 5%) and, for several classes, does not cost more than
    .001 of mean AUC; of two such methods the one with the lower Brier score, or, where these differ by less than their
    noise, the lower log loss. A method that is named is taken as it is. Raises ProjectError for another word.
    """
    if asked not in ("auto", *Method):
        raise ProjectError(f"there is no calibration {asked!r}", where="training.calibration")
    if asked == Method.NONE:
        return Calibration(Method.NONE, reason="not asked for")
    if len(np.unique(y)) < 2:
        return Calibration(Method.NONE, reason="the rows are of one class")
    held = {method: _cross_validated(method, scores, y, seed) for method in _FITS}
    judged = {Method.NONE: scores, **{name: found for name, found in held.items() if found is not None}}
    brier = {name: losses.brier(y, found) for name, found in judged.items()}
    loss = {name: losses.log_loss(y, found) for name, found in judged.items()}
    method, reason = _chosen(judged, y, brier, loss) if asked == "auto" else (Method(asked), "as the project asks")
    fitted = _whole(method, scores, y)
    if fitted is None:
        return Calibration(Method.NONE, reason="the scores do not rise with the target, so Platt's line has no use")
    means = [{str(name): float(rows.mean()) for name, rows in each.items()} for each in (brier, loss)]
    return replace(fitted, rows=len(y), brier=means[0], log_loss=means[1], reason=reason)


def isotonic(scores: Floats, positive: NDArray[np.bool_]) -> Isotonic:
    """Centred isotonic regression of the target on (rows,) scores: Oron and Flournoy (2017).

    The blocks of the pool-adjacent-violators algorithm are level, which would tie rows that the model told apart and
    cost it ranking. Here each block is one knot at its mean score and mean target, with straight lines between them, so
    that the curve is strictly increasing. Shares are kept 1 / (rows + 2) away from 0 and 1; beyond the outer knots the
    curve goes half the way to 0 and to 1.
    """
    values, place, rows = np.unique(scores, return_inverse=True, return_counts=True)
    share = np.bincount(place, positive) / rows
    found = scipy.optimize.isotonic_regression(share, weights=rows.astype(np.float64))
    starts = found.blocks[:-1]
    x = np.add.reduceat(values * rows, starts) / np.add.reduceat(rows, starts)
    least = 1 / (len(scores) + 2)
    y = np.clip(found.x[starts], least, 1 - least)
    if x[0] > 0:
        x, y = np.append(0.0, x), np.append(y[0] / 2, y)
    if x[-1] < 1:
        x, y = np.append(x, 1.0), np.append(y, (1 + y[-1]) / 2)
    return Isotonic(tuple(x.tolist()), tuple(y.tolist()))


def platt(scores: Floats, positive: NDArray[np.bool_]) -> Platt | None:
    """Platt's sigmoid (1999) on the logit of (rows,) scores; None where it would not rise.

    The targets are Platt's, drawn in from 0 and 1 by the classes' sizes; the fit is Newton's method with step halving
    (Lin, Lin and Weng, 2007).
    """
    ones = int(positive.sum())
    target = np.where(positive, (ones + 1) / (ones + 2), 1 / (len(scores) - ones + 2))
    z = logit(scores)
    line = np.array([1.0, 0.0])
    loss = _line_loss(line, z, target)
    for _ in range(_STEPS):
        p = expit(line[0] * z + line[1])
        gradient = np.array([((p - target) * z).sum(), (p - target).sum()])
        w = p * (1 - p)
        curvature = np.array([[(w * z * z).sum(), (w * z).sum()], [(w * z).sum(), w.sum()]]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size = next((s for s in 0.5 ** np.arange(20) if _line_loss(line - s * step, z, target) < loss), 0.0)
        if not size:
            break
        line = line - size * step
        loss = _line_loss(line, z, target)
    return Platt(float(line[0]), float(line[1])) if line[0] > 0 else None


def _line_loss(line: Floats, z: Floats, target: Floats) -> float:
    at = line[0] * z + line[1]
    return float((np.logaddexp(0, at) - target * at).sum())


Fit = Callable[[Floats, NDArray[np.bool_]], Isotonic | Platt | None]
_FITS: Mapping[Method, Fit] = {Method.ISOTONIC: isotonic, Method.PLATT: platt}


def _whole(method: Method, scores: Floats, y: Classes) -> Calibration | None:
    if method is Method.NONE:
        return Calibration(method)
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    curves = [_FITS[method](scores[:, index], y == index) for index in classes]
    return None if any(one is None for one in curves) else Calibration(method, tuple(filter(None, curves)))


def _cross_validated(method: Method, scores: Floats, y: Classes, seed: int) -> Floats | None:
    """The rows' calibrated scores, each from the rows of the other folds; None where the method cannot be fitted."""
    fold = np.random.default_rng([seed, len(y)]).permutation(len(y)) % _FOLDS
    held = np.empty_like(scores)
    for number in range(_FOLDS):
        own = fold == number
        found = _whole(method, scores[~own], y[~own]) if own.any() and not own.all() else None
        if found is None:
            return None
        held[own] = calibrator(found)(scores[own])
    return held


def _chosen(
    held: Mapping[Method, Floats], y: Classes, brier: Mapping[Method, Floats], loss: Mapping[Method, Floats]
) -> tuple[Method, str]:
    none = Method.NONE
    better = [
        name
        for name in _FITS
        if name in held and _beyond_noise(brier[none] - brier[name]) and _keeps_order(held[none], held[name], y)
    ]
    if not better:
        return none, "no method lowers the cross-validated Brier score beyond noise"
    best = min(better, key=lambda name: float(brier[name].mean()))
    other = next((name for name in better if name is not best), best)
    if other is not best and not _beyond_noise(brier[other] - brier[best]):
        best = min(better, key=lambda name: float(loss[name].mean()))
    before, after = float(brier[none].mean()), float(brier[best].mean())
    return best, f"lowers the cross-validated Brier score from {before:.4f} to {after:.4f}"


def _beyond_noise(gain: Floats) -> bool:
    return bool(gain.mean() > _NOISE * gain.std() / np.sqrt(len(gain)) and gain.mean() > 0)


def _keeps_order(before: Floats, after: Floats, y: Classes) -> bool:
    """A binary curve rises strictly and cannot reorder rows."""
    if before.shape[1] == 2:
        return True
    areas = [
        np.nanmean([area_under_roc(y == index, scores[:, index]) for index in np.unique(y)])
        for scores in (before, after)
    ]
    return bool(areas[1] >= areas[0] - _AUC_ROOM)
