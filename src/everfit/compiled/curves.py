"""The kernel of additive models: a weight a column, and cubic curves. Terms are added one column after the other."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.compiled import native
from everfit.compiled.links import link
from everfit.compiled.native import DOUBLE, LONG, POINTER, Builder, Native, Value, at, get, integer, put
from everfit.records.compiled import Curves, Link

_ARRAYS = {
    "columns": "long",
    "bounds": "long",
    "knots": "double",
    "pieces": "double",
    "weights": "double",
    "base": "double",
}


def arrays(curves: Curves) -> tuple[NDArray[Any], ...]:
    """What the kernel reads, in its order."""
    return tuple(np.ascontiguousarray(getattr(curves, name)) for name in _ARRAYS)


def kernel(curves: Curves) -> Native:
    """(addresses of `arrays`, rows, count, scores): (count, width) doubles to (count, outputs) doubles."""
    most = int(np.diff(curves.bounds).max(initial=1))
    return _kernel(curves.width, curves.outputs, len(curves.columns), most.bit_length(), curves.link)


@lru_cache(maxsize=64)
def _kernel(width: int, outputs: int, curves: int, halvings: int, last: Link) -> Native:
    made, build = native.function("curves", [POINTER["long"], POINTER["double"], LONG, POINTER["double"]])
    model, rows, count, scores = made.args
    tables = [build.inttoptr(get(build, model, integer(i)), POINTER[kind]) for i, kind in enumerate(_ARRAYS.values())]
    columns, bounds, knots, pieces, weights, base = tables
    with native.loop(build, count) as row:
        x = at(build, rows, build.mul(row, integer(width)))
        out = at(build, scores, build.mul(row, integer(outputs)))
        with native.loop(build, integer(outputs)) as k:
            put(build, get(build, base, k), out, k)
        with native.loop(build, integer(width)) as column:
            _add_line(build, get(build, x, column), weights, column, out, outputs)
        with native.loop(build, integer(curves)) as curve:
            value = get(build, x, get(build, columns, curve))
            first, end = get(build, bounds, curve), get(build, bounds, build.add(curve, integer(1)))
            _add_curve(build, value, (first, end), halvings, knots, pieces, out, outputs)
        link(build, last, out, outputs, single=False)
    return native.compiled(made, build, "ppnp")


def _add_line(build: Builder, value: Value, weights: Value, column: Value, out: Value, outputs: int) -> None:
    start = build.mul(column, integer(outputs))
    with native.loop(build, integer(outputs)) as k:
        product = build.fmul(value, get(build, weights, build.add(start, k)))
        put(build, build.fadd(get(build, out, k), product), out, k)


def _add_curve(
    build: Builder,
    value: Value,
    bounds: tuple[Value, Value],
    halvings: int,
    knots: Value,
    pieces: Value,
    out: Value,
    outputs: int,
) -> None:
    """By Horner's rule in the stretch that the value is in."""
    first, end = bounds
    low, high = get(build, knots, first), get(build, knots, build.sub(end, integer(1)))
    value = build.select(build.fcmp_ordered("<", value, low), low, value)
    value = build.select(build.fcmp_ordered(">", value, high), high, value)
    place = native.last_below(build, knots, (first, build.sub(end, integer(1))), halvings, value)
    u = build.fsub(value, get(build, knots, place))
    with native.loop(build, integer(outputs)) as k:
        start = build.mul(build.add(build.mul(place, integer(outputs)), k), integer(4))
        found = DOUBLE(0.0)
        for power in (3, 2, 1, 0):
            coefficient = get(build, pieces, build.add(start, integer(power)))
            found = coefficient if power == 3 else build.fadd(build.fmul(found, u), coefficient)
        put(build, build.fadd(get(build, out, k), found), out, k)
