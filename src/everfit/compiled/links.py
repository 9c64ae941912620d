"""From raw sums to scores, in the arithmetic of the library that the model comes from."""

from __future__ import annotations

from everfit.compiled.native import DOUBLE, SINGLE, Builder, Value, get, integer, intrinsic, local, loop, put
from everfit.records.compiled import Link

# XGBoost's own bounds: its sigmoid limits what goes into the exponential and keeps the denominator off zero.
_MOST, _LEAST = 88.7, 1e-16


def rounded(build: Builder, value: Value) -> Value:
    """A double rounded to float32 and widened again."""
    return build.fpext(build.fptrunc(value, SINGLE), DOUBLE)


def link(build: Builder, kind: Link, sums: Value, outputs: int, single: bool) -> None:
    """Turns the `outputs` doubles at `sums` into scores, in place; `single` computes them in float32."""
    if kind is Link.LOGISTIC:
        with loop(build, integer(outputs)) as k:
            value = get(build, sums, k)
            put(build, _logistic_single(build, value) if single else logistic(build, value), sums, k)
    elif kind is Link.SOFTMAX:
        _softmax(build, sums, outputs, single)


def logistic(build: Builder, value: Value) -> Value:
    """1 / (1 + exp(-x)); where exp overflows, the result is the limit 0."""
    return build.fdiv(DOUBLE(1.0), build.fadd(DOUBLE(1.0), intrinsic(build, "exp", build.fneg(value))))


def _logistic_single(build: Builder, value: Value) -> Value:
    x = build.fneg(build.fptrunc(value, SINGLE))
    most = SINGLE(_MOST)
    x = build.select(build.fcmp_ordered("<", x, most), x, most)
    below = build.fadd(build.fadd(intrinsic(build, "exp", x), SINGLE(1.0)), SINGLE(_LEAST))
    return build.fpext(build.fdiv(SINGLE(1.0), below), DOUBLE)


def _softmax(build: Builder, sums: Value, outputs: int, single: bool) -> None:
    """The greatest is taken off first; the sum is kept in double even where the terms are float32."""
    most, total = local(build, DOUBLE), local(build, DOUBLE)
    build.store(build.load(sums), most)
    with loop(build, integer(outputs)) as k:
        value, found = get(build, sums, k), build.load(most)
        build.store(build.select(build.fcmp_ordered(">", value, found), value, found), most)
    build.store(DOUBLE(0.0), total)
    with loop(build, integer(outputs)) as k:
        value = build.fsub(get(build, sums, k), build.load(most))
        value = _exp_single(build, value) if single else intrinsic(build, "exp", value)
        put(build, value, sums, k)
        build.store(build.fadd(build.load(total), value), total)
    with loop(build, integer(outputs)) as k:
        value, below = get(build, sums, k), build.load(total)
        put(build, _divided_single(build, value, below) if single else build.fdiv(value, below), sums, k)


def _exp_single(build: Builder, value: Value) -> Value:
    return build.fpext(intrinsic(build, "exp", build.fptrunc(value, SINGLE)), DOUBLE)


def _divided_single(build: Builder, above: Value, below: Value) -> Value:
    return build.fpext(build.fdiv(build.fptrunc(above, SINGLE), build.fptrunc(below, SINGLE)), DOUBLE)
