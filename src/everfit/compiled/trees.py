"""The kernel that walks trees.

Eight trees are walked side by side, as many steps as the deepest of them has: a step of one tree does not wait for
another's memory, and nothing branches on what a row holds. Rows go through a group of trees in blocks, so that the
group stays in the cache; each row's leaves are still added in the order of the trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from everfit.compiled import native
from everfit.compiled.links import link, rounded
from everfit.compiled.native import DOUBLE, HALF, LONG, POINTER, WORD, Builder, Native, Value, at, get, integer, put
from everfit.records.compiled import NODE, Link, Trees

LANES = 8
_NODE = ir.LiteralStructType([DOUBLE, WORD, HALF, HALF])
_ARRAYS = ("nodes", "roots", "depths", "target", "values", "base")
_BLOCK_NUMBERS = 4096


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the code depends on; trees of one shape share it."""

    width: int
    outputs: int
    leaf: int
    divisor: float
    link: Link
    single: bool
    single_sum: bool

    @property
    def block(self) -> int:
        """How many rows go through a group of trees at a time."""
        return max(1, min(64, _BLOCK_NUMBERS // max(self.width, 1)))


def arrays(trees: Trees) -> tuple[NDArray[Any], ...]:
    """What the kernel reads, in its order: whole groups of trees, the last one filled up with leaves of zero."""
    spare = -len(trees.roots) % LANES
    filler = np.zeros(1 if spare else 0, NODE)
    filler["threshold"], filler["left"], filler["missing_left"] = np.inf, len(trees.nodes), 1
    nodes = np.concatenate((trees.nodes, filler))
    roots = np.concatenate((trees.roots, np.full(spare, len(trees.nodes), np.int64)))
    depths = np.concatenate((trees.depths, np.zeros(spare, np.int64))).reshape(-1, LANES).max(axis=1)
    target = np.concatenate((trees.target, np.zeros(spare, np.int64)))
    values = np.concatenate((trees.values, np.zeros((len(filler), trees.values.shape[1]))))
    found = (nodes, roots, depths, target, values, trees.base, np.array([len(roots) // LANES]))
    return tuple(np.ascontiguousarray(array) for array in found)


def kernel(trees: Trees) -> Native:
    """(addresses of `arrays`, rows, count, scores): (count, width) doubles to (count, outputs) doubles."""
    leaf = trees.values.shape[1]
    shape = (trees.width, trees.outputs, leaf, trees.divisor, trees.link, trees.single, trees.single_sum)
    return _kernel(_Shape(*shape))


@lru_cache(maxsize=64)
def _kernel(shape: _Shape) -> Native:
    made, build = native.function("trees", [POINTER["long"], POINTER["double"], LONG, POINTER["double"]])
    model, rows, count, scores = made.args
    memory = _Memory(build, model)
    with native.loop(build, count, step=shape.block) as first:
        block = native.minimum(build, build.sub(count, first), integer(shape.block))
        x = _prepared(build, shape, at(build, rows, build.mul(first, integer(shape.width))), block)
        sums = at(build, scores, build.mul(first, integer(shape.outputs)))
        _start(build, shape, memory, sums, block)
        with native.loop(build, memory.groups) as group, native.loop(build, block) as row:
            leaves = _walk(build, memory, group, at(build, x, build.mul(row, integer(shape.width))))
            _add(build, shape, memory, group, leaves, at(build, sums, build.mul(row, integer(shape.outputs))))
        with native.loop(build, block) as row:
            _finish(build, shape, at(build, sums, build.mul(row, integer(shape.outputs))))
    return native.compiled(made, build, "ppnp")


class _Memory:
    """The model's arrays, from the table of their addresses."""

    def __init__(self, build: Builder, table: Value) -> None:
        kinds = {"nodes": _NODE, "roots": LONG, "depths": LONG, "target": LONG, "values": DOUBLE, "base": DOUBLE}
        found = {
            name: build.inttoptr(get(build, table, integer(i)), kinds[name].as_pointer())
            for i, name in enumerate(_ARRAYS)
        }
        self.nodes, self.roots, self.depths, self.target, self.values, self.base = found.values()
        address = get(build, table, integer(len(_ARRAYS)))
        self.groups = build.load(build.inttoptr(address, POINTER["long"]))


def _prepared(build: Builder, shape: _Shape, rows: Value, block: Value) -> Value:
    """The block's numbers as the library reads them."""
    if not shape.single:
        return rows
    room = native.local(build, DOUBLE, shape.block * max(shape.width, 1))
    with native.loop(build, build.mul(block, integer(shape.width))) as i:
        put(build, rounded(build, get(build, rows, i)), room, i)
    return room


def _start(build: Builder, shape: _Shape, memory: _Memory, sums: Value, block: Value) -> None:
    with native.loop(build, block) as row, native.loop(build, integer(shape.outputs)) as k:
        place = build.add(build.mul(row, integer(shape.outputs)), k)
        put(build, get(build, memory.base, k), sums, place)


def _walk(build: Builder, memory: _Memory, group: Value, x: Value) -> list[Value]:
    """Where the row arrives in each tree of the group."""
    first = build.mul(group, integer(LANES))
    lanes = [native.local(build, LONG) for _ in range(LANES)]
    for number, lane in enumerate(lanes):
        build.store(get(build, memory.roots, build.add(first, integer(number))), lane)
    with native.loop(build, get(build, memory.depths, group)):
        for lane in lanes:
            build.store(_step(build, memory.nodes, x, build.load(lane)), lane)
    return [build.load(lane) for lane in lanes]


def _step(build: Builder, nodes: Value, x: Value, node: Value) -> Value:
    threshold, left, feature, missing_left = (build.load(build.gep(nodes, [node, WORD(field)])) for field in range(4))
    value = get(build, x, build.zext(feature, LONG))
    missing = build.and_(build.fcmp_unordered("uno", value, value), build.icmp_signed("!=", missing_left, HALF(0)))
    goes_left = build.or_(build.fcmp_ordered("<=", value, threshold), missing)
    return build.add(build.zext(left, LONG), build.zext(build.not_(goes_left), LONG))


def _add(build: Builder, shape: _Shape, memory: _Memory, group: Value, leaves: list[Value], sums: Value) -> None:
    first = build.mul(group, integer(LANES))
    for number, leaf in enumerate(leaves):
        places = sums
        if shape.leaf != shape.outputs:
            places = at(build, sums, get(build, memory.target, build.add(first, integer(number))))
        for k in range(shape.leaf):
            value = get(build, memory.values, build.add(build.mul(leaf, integer(shape.leaf)), integer(k)))
            total = build.fadd(get(build, places, integer(k)), value)
            put(build, rounded(build, total) if shape.single_sum else total, places, integer(k))


def _finish(build: Builder, shape: _Shape, sums: Value) -> None:
    if shape.divisor != 1.0:
        with native.loop(build, integer(shape.outputs)) as k:
            put(build, build.fdiv(get(build, sums, k), DOUBLE(shape.divisor)), sums, k)
    link(build, shape.link, sums, shape.outputs, shape.single_sum)
