"""The kernel of a calibration: scores to calibrated probabilities, in place."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.compiled import native
from everfit.compiled.links import logistic
from everfit.compiled.native import DOUBLE, LONG, POINTER, Builder, Native, Value, at, get, integer, intrinsic, put
from everfit.records.calibration import Calibration, Isotonic

# Logits are taken of probabilities no nearer to 0 and 1 than this.
_EDGE = 1e-12


def arrays(calibration: Calibration) -> tuple[NDArray[Any], ...]:
    """What the kernel reads, in its order: two arrays a curve, knots or a slope and an intercept."""
    found = []
    for curve in calibration.curves:
        pair = (curve.x, curve.y) if isinstance(curve, Isotonic) else ((curve.slope,), (curve.intercept,))
        found += [np.array(numbers, dtype=np.float64) for numbers in pair]
    return tuple(found)


def kernel(calibration: Calibration) -> Native:
    """(addresses of `arrays`, scores, count): (count, curves) doubles, each column by its curve; of several the row is
    then divided by its sum."""
    return _kernel(tuple(len(c.x) if isinstance(c, Isotonic) else 0 for c in calibration.curves))


@lru_cache(maxsize=64)
def _kernel(knots: tuple[int, ...]) -> Native:
    made, build = native.function("calibrate", [POINTER["long"], POINTER["double"], LONG])
    model, scores, count = made.args
    tables = [build.inttoptr(get(build, model, integer(i)), POINTER["double"]) for i in range(2 * len(knots))]
    with native.loop(build, count) as row:
        own = at(build, scores, build.mul(row, integer(len(knots))))
        for number, size in enumerate(knots):
            a, b = tables[2 * number : 2 * number + 2]
            value = get(build, own, integer(number))
            found = _between(build, a, b, size, value) if size else _line(build, a, b, value)
            put(build, found, own, integer(number))
        if len(knots) > 1:
            _divide(build, own, len(knots))
    return native.compiled(made, build, "ppn")


def _line(build: Builder, slope: Value, intercept: Value, score: Value) -> Value:
    """Platt's: the logistic function of slope * logit + intercept."""
    low, high = DOUBLE(_EDGE), DOUBLE(1 - _EDGE)
    score = build.select(build.fcmp_ordered("<", score, low), low, score)
    score = build.select(build.fcmp_ordered(">", score, high), high, score)
    against = build.fsub(DOUBLE(1.0), score)
    logit = build.fsub(intrinsic(build, "log", score), intrinsic(build, "log", against))
    return logistic(build, build.fadd(build.fmul(build.load(slope), logit), build.load(intercept)))


def _between(build: Builder, x: Value, y: Value, knots: int, score: Value) -> Value:
    """The straight line through the knots on both sides, found by halving; level beyond the ends."""
    whole = (integer(0), integer(knots))
    low = native.last_below(build, x, whole, max(knots - 1, 0).bit_length(), score)
    high = native.minimum(build, build.add(low, integer(1)), integer(knots - 1))
    x0, x1, y0, y1 = (get(build, array, place) for array in (x, y) for place in (low, high))
    slope = build.fdiv(build.fsub(y1, y0), build.fsub(x1, x0))
    inside = build.fadd(build.fmul(slope, build.fsub(score, x0)), y0)
    beyond = build.or_(build.fcmp_ordered("<=", score, build.load(x)), build.icmp_signed("==", low, high))
    return build.select(beyond, y0, inside)


def _divide(build: Builder, scores: Value, count: int) -> None:
    total = native.local(build, DOUBLE)
    build.store(DOUBLE(0.0), total)
    with native.loop(build, integer(count)) as k:
        build.store(build.fadd(build.load(total), get(build, scores, k)), total)
    with native.loop(build, integer(count)) as k:
        put(build, build.fdiv(get(build, scores, k), build.load(total)), scores, k)
