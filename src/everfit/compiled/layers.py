"""The kernel of layers: linear models and small networks. Products are added in the order of the inputs."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.compiled import native
from everfit.compiled.links import link, logistic
from everfit.compiled.native import DOUBLE, LONG, POINTER, Builder, Native, Value, at, get, integer, intrinsic, put
from everfit.records.compiled import Activation, Link, Network

_Shape = tuple[tuple[int, ...], tuple[Activation, ...], Link]


def arrays(network: Network) -> tuple[NDArray[Any], ...]:
    """What the kernel reads, in its order: weights and bias of each layer."""
    found = [array for layer in network.layers for array in (layer.weights, layer.bias)]
    return tuple(np.ascontiguousarray(array, dtype=np.float64) for array in found)


def kernel(network: Network) -> Native:
    """(addresses of `arrays`, rows, count, scores): (count, width) doubles to (count, outputs) doubles."""
    sizes = (network.width, *(len(layer.bias) for layer in network.layers))
    return _kernel((sizes, tuple(layer.activation for layer in network.layers), network.link))


@lru_cache(maxsize=64)
def _kernel(shape: _Shape) -> Native:
    sizes, activations, last = shape
    made, build = native.function("layers", [POINTER["long"], POINTER["double"], LONG, POINTER["double"]])
    model, rows, count, scores = made.args
    tables = [build.inttoptr(get(build, model, integer(i)), POINTER["double"]) for i in range(2 * len(activations))]
    rooms = [native.local(build, DOUBLE, size) for size in sizes[1:-1]]
    with native.loop(build, count) as row:
        x = at(build, rows, build.mul(row, integer(sizes[0])))
        out = at(build, scores, build.mul(row, integer(sizes[-1])))
        for number, target in enumerate([*rooms, out]):
            weights, bias = tables[2 * number], tables[2 * number + 1]
            _layer(build, x, sizes[number], weights, bias, target, sizes[number + 1])
            _activate(build, activations[number], target, sizes[number + 1])
            x = target
        link(build, last, out, sizes[-1], single=False)
    return native.compiled(made, build, "ppnp")


def _layer(build: Builder, x: Value, inputs: int, weights: Value, bias: Value, out: Value, outputs: int) -> None:
    with native.loop(build, integer(outputs)) as k:
        put(build, DOUBLE(0.0), out, k)
    with native.loop(build, integer(inputs)) as i:
        value, start = get(build, x, i), build.mul(i, integer(outputs))
        with native.loop(build, integer(outputs)) as k:
            product = build.fmul(value, get(build, weights, build.add(start, k)))
            put(build, build.fadd(get(build, out, k), product), out, k)
    with native.loop(build, integer(outputs)) as k:
        put(build, build.fadd(get(build, out, k), get(build, bias, k)), out, k)


def _activate(build: Builder, kind: Activation, values: Value, count: int) -> None:
    if kind is Activation.IDENTITY:
        return
    with native.loop(build, integer(count)) as k:
        put(build, _ACTIVATIONS[kind](build, get(build, values, k)), values, k)


def _relu(build: Builder, value: Value) -> Value:
    return build.select(build.fcmp_ordered(">", value, DOUBLE(0.0)), value, DOUBLE(0.0))


def _tanh(build: Builder, value: Value) -> Value:
    """By the exponential of -2|x|, which never overflows; the sign is put back."""
    size = intrinsic(build, "fabs", value)
    shrunk = intrinsic(build, "exp", build.fmul(DOUBLE(-2.0), size))
    found = build.fdiv(build.fsub(DOUBLE(1.0), shrunk), build.fadd(DOUBLE(1.0), shrunk))
    return intrinsic(build, "copysign", found, value)


_ACTIVATIONS = {Activation.RELU: _relu, Activation.TANH: _tanh, Activation.LOGISTIC: logistic}
