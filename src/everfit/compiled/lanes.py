"""The kernel that takes many rows through trees at once: a row in each lane of a vector.

A block of rows is ranked first, column by column (see `ranks`), so that a step compares small integers that stay in the
cache. The first levels of a tree are the same few nodes for all rows: each is compared with all rows at once, and
where a row arrives is read off the results. Only below them does each row fetch its own node. Leaves are added in the
order of the trees, as `trees` adds them; the scores are the same to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.compiled import native, vectors
from everfit.compiled.links import link
from everfit.compiled.native import (
    BYTE,
    DOUBLE,
    HALF,
    LONG,
    POINTER,
    SINGLE,
    WORD,
    Builder,
    Native,
    Value,
    at,
    get,
    integer,
    put,
)
from everfit.compiled.ranks import BELOW, INNER, ranked
from everfit.compiled.vectors import LANES, constant, gather, lanes, spread, vector
from everfit.records.compiled import Link, Trees

_KINDS = {
    "columns": LONG,
    "starts": LONG,
    "halvings": LONG,
    "thresholds": DOUBLE,
    "nodes": LONG,
    "top": LONG,
    "below": WORD,
    "deeper": LONG,
    "target": LONG,
    "values": DOUBLE,
    "base": DOUBLE,
    "trees": LONG,
}
# How many rows are under way together.
ROWS = LANES
_NUMBER_BITS = 0xFFFF


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the code depends on; trees of one shape share it."""

    width: int
    slots: int
    outputs: int
    leaf: int
    divisor: float
    link: Link
    single: bool
    single_sum: bool


def arrays(trees: Trees) -> tuple[NDArray[Any], ...] | None:
    """What the kernel reads, in its order; None for trees that it cannot walk."""
    found = ranked(trees)
    if found is None:
        return None
    own = {"target": trees.target, "values": trees.values, "base": trees.base, "trees": np.array([len(trees.roots)])}
    return tuple(np.ascontiguousarray(own[name] if name in own else getattr(found, name)) for name in _KINDS)


def kernel(trees: Trees, slots: int) -> Native:
    """(addresses of `arrays`, rows, count, scores): (count, width) doubles to (count, outputs) doubles; `count` is a
    multiple of ROWS, and `slots` how many columns are split on. A row that lacks a number in one of them has NaN for
    its scores: it is to be scored elsewhere."""
    leaf = trees.values.shape[1]
    shape = (trees.width, slots, trees.outputs, leaf, trees.divisor, trees.link, trees.single, trees.single_sum)
    return _kernel(_Shape(*shape))


@lru_cache(maxsize=64)
def _kernel(shape: _Shape) -> Native:
    made, build = native.function("lanes", [POINTER["long"], POINTER["double"], LONG, POINTER["double"]])
    model, rows, count, scores = made.args
    memory = _Memory(build, model)
    block = _Block(build, shape)
    with native.loop(build, count, step=ROWS) as first:
        _rank(build, shape, memory, block, at(build, rows, build.mul(first, integer(shape.width))))
        _start(build, shape, memory, block)
        with native.loop(build, build.load(memory.trees)) as tree:
            _add(build, shape, memory, block, tree, _walk(build, memory, block, tree))
        with native.loop(build, integer(ROWS)) as row:
            place = build.mul(build.add(first, row), integer(shape.outputs))
            _finish(build, shape, block, row, at(build, scores, place))
    return native.compiled(made, build, "ppnp")


class _Memory:
    """The model's arrays, from the table of their addresses."""

    def __init__(self, build: Builder, table: Value) -> None:
        addresses = [get(build, table, integer(i)) for i in range(len(_KINDS))]
        found = [
            build.inttoptr(address, kind.as_pointer()) for address, kind in zip(addresses, _KINDS.values(), strict=True)
        ]
        self.columns, self.starts, self.halvings, self.thresholds, self.nodes, self.top = found[:6]
        self.below, self.deeper, self.target, self.values, self.base, self.trees = found[6:]


class _Block:
    """What is known about the rows under way, each a line of ROWS numbers: a rank for each slot, a sum for each output,
    and whether the row lacks a number."""

    def __init__(self, build: Builder, shape: _Shape) -> None:
        # Ranks are fetched four bytes at a time, hence one more.
        self.ranks = native.local(build, HALF, shape.slots * ROWS + 1)
        self.sums = native.local(build, DOUBLE, shape.outputs * ROWS)
        self.lacks = native.local(build, BYTE, ROWS)


def _line(build: Builder, number: Value) -> Value:
    return build.mul(number, integer(ROWS))


def _rank(build: Builder, shape: _Shape, memory: _Memory, block: _Block, x: Value) -> None:
    """For each column the count of its thresholds that are below the row's number, as the library reads it."""
    lacks = native.local(build, vector(BYTE))
    build.store(constant(BYTE, 0), lacks)
    with native.loop(build, integer(shape.slots)) as slot:
        values = gather(build, at(build, x, get(build, memory.columns, slot)), DOUBLE, lanes(LONG, shape.width))
        if shape.single:
            values = _rounded(build, values)
        lacking = build.zext(build.fcmp_unordered("uno", values, values), vector(BYTE))
        build.store(build.or_(build.load(lacks), lacking), lacks)
        table = at(build, memory.thresholds, get(build, memory.starts, slot))
        ranks = _count_below(build, table, get(build, memory.halvings, slot), values)
        vectors.store(build, build.trunc(ranks, vector(HALF)), block.ranks, HALF, _line(build, slot))
    vectors.store(build, build.load(lacks), block.lacks, BYTE, integer(0))


def _count_below(build: Builder, table: Value, halvings: Value, values: Value) -> Value:
    """How many of the table's 2**halvings - 1 sorted numbers are below each value."""
    found, step = native.local(build, vector(LONG)), native.local(build, LONG)
    build.store(constant(LONG, 0), found)
    build.store(build.shl(integer(1), halvings), step)
    with native.loop(build, halvings):
        half = build.lshr(build.load(step), integer(1))
        build.store(half, step)
        lower = build.load(found)
        middle = gather(build, table, DOUBLE, build.add(lower, spread(build, build.sub(half, integer(1)))))
        is_below = build.fcmp_ordered("<", middle, values)
        build.store(build.select(is_below, build.add(lower, spread(build, half)), lower), found)
    return build.load(found)


def _start(build: Builder, shape: _Shape, memory: _Memory, block: _Block) -> None:
    with native.loop(build, integer(shape.outputs)) as k:
        vectors.store(build, spread(build, get(build, memory.base, k)), block.sums, DOUBLE, _line(build, k))


def _walk(build: Builder, memory: _Memory, block: _Block, tree: Value) -> Value:
    """The leaf of each row."""
    node = native.local(build, vector(WORD))
    below = at(build, memory.below, build.mul(tree, integer(BELOW)))
    build.store(gather(build, below, WORD, _arrival(build, memory, block, tree)), node)
    with native.loop(build, get(build, memory.deeper, tree)):
        fetched = gather(build, memory.nodes, LONG, build.load(node))
        left = build.trunc(fetched, vector(WORD))
        split = build.trunc(build.lshr(fetched, constant(LONG, 32)), vector(WORD))
        slot, rank = build.and_(split, constant(WORD, _NUMBER_BITS)), build.lshr(split, constant(WORD, 16))
        place = build.add(build.mul(slot, constant(WORD, ROWS)), lanes(WORD))
        own = build.and_(gather(build, block.ranks, WORD, place, spaced=HALF), constant(WORD, _NUMBER_BITS))
        goes_right = build.icmp_unsigned(">", own, rank)
        build.store(build.add(left, build.zext(goes_right, vector(WORD))), node)
    return build.load(node)


def _arrival(build: Builder, memory: _Memory, block: _Block, tree: Value) -> Value:
    """Each row's place below the tree's first levels, from left to right."""
    first = at(build, memory.top, build.mul(tree, integer(2 * INNER)))
    right = [_goes_right(build, block, at(build, first, integer(2 * node))) for node in range(INNER)]
    second = build.select(right[0], right[2], right[1])
    third = build.select(
        right[0], build.select(right[2], right[6], right[5]), build.select(right[1], right[4], right[3])
    )
    place = constant(WORD, 0)
    for turn in (right[0], second, third):
        place = build.add(build.shl(place, constant(WORD, 1)), build.zext(turn, vector(WORD)))
    return place


def _goes_right(build: Builder, block: _Block, split: Value) -> Value:
    """At a node of the first levels, whose slot and rank stand at `split`."""
    own = vectors.load(build, block.ranks, HALF, _line(build, build.load(split)))
    rank = build.trunc(get(build, split, integer(1)), HALF)
    return build.icmp_unsigned(">", own, spread(build, rank))


def _add(build: Builder, shape: _Shape, memory: _Memory, block: _Block, tree: Value, leaves: Value) -> None:
    target = get(build, memory.target, tree)
    for k in range(shape.leaf):
        index = build.add(build.mul(leaves, constant(WORD, shape.leaf)), constant(WORD, k))
        values = gather(build, memory.values, DOUBLE, index)
        line = _line(build, build.add(target, integer(k)))
        total = build.fadd(vectors.load(build, block.sums, DOUBLE, line), values)
        vectors.store(build, _rounded(build, total) if shape.single_sum else total, block.sums, DOUBLE, line)


def _rounded(build: Builder, values: Value) -> Value:
    """Doubles rounded to float32 and widened again."""
    return build.fpext(build.fptrunc(values, vector(SINGLE)), vector(DOUBLE))


def _finish(build: Builder, shape: _Shape, block: _Block, row: Value, scores: Value) -> None:
    with native.loop(build, integer(shape.outputs)) as k:
        total = get(build, block.sums, build.add(_line(build, k), row))
        put(build, build.fdiv(total, DOUBLE(shape.divisor)) if shape.divisor != 1.0 else total, scores, k)
    link(build, shape.link, scores, shape.outputs, shape.single_sum)
    lacks = build.icmp_unsigned("!=", get(build, block.lacks, row), BYTE(0))
    with native.loop(build, integer(shape.outputs)) as k:
        put(build, build.select(lacks, DOUBLE(float("nan")), get(build, scores, k)), scores, k)
