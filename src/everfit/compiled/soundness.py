"""Whether a compiled form can be walked at all: no index in it may lead out of its arrays."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from everfit.records.compiled import NODE, Curves, Form, Network, Part, Trees

_WHOLE, _NUMBER = np.dtype(np.int64), np.dtype(np.float64)
_TYPES = {"nodes": NODE, **dict.fromkeys(("roots", "depths", "target", "columns", "bounds"), _WHOLE)}


def problems(form: Form) -> Iterator[str]:
    """What is wrong with the form, if anything."""
    outputs = form.classes if form.classes > 2 else 1
    if not form.parts or len(form.parts) != len(form.weights):
        yield "it has no parts, or not a weight for each"
    for part in form.parts:
        yield from _part(part)
        if part.outputs != outputs or part.width != form.parts[0].width:
            yield "its parts differ in shape"


def _part(part: Part) -> Iterator[str]:
    if isinstance(part, Trees):
        yield from _types(part, "nodes", "roots", "depths", "target", "values", "base", "cover")
        yield from _trees(part)
    elif isinstance(part, Curves):
        yield from _types(part, "columns", "bounds", "knots", "pieces", "weights", "base")
        yield from _curves(part)
    else:
        yield from _network(part)


def _types(part: Part, *names: str) -> Iterator[str]:
    for name in names:
        if getattr(part, name).dtype != _TYPES.get(name, _NUMBER):
            yield f"{name} has another type"


def _trees(trees: Trees) -> Iterator[str]:
    count, leaf = len(trees.nodes), trees.values.shape[-1]
    lengths = {len(trees.roots), len(trees.depths), len(trees.target)}
    if len(lengths) != 1 or trees.values.shape != (count, leaf) or leaf not in (1, trees.outputs):
        yield "its arrays differ in length"
    left = trees.nodes["left"].astype(np.int64)
    stays = (left == np.arange(count)) & (trees.nodes["threshold"] == np.inf) & (trees.nodes["missing_left"] != 0)
    inside = [
        stays | (left + 1 < count),
        trees.nodes["feature"] < trees.width,
        (trees.roots >= 0) & (trees.roots < count),
        (trees.depths >= 0) & (trees.depths <= count),
        (trees.target >= 0) & (trees.target + leaf <= trees.outputs),
    ]
    if not all(bool(np.all(one)) for one in inside):
        yield "a node points out of its tree"
    if len(trees.cover) not in (0, count) or not bool(np.all((trees.cover >= 0) & np.isfinite(trees.cover))):
        yield "its covers are no weights of its nodes"


def _curves(curves: Curves) -> Iterator[str]:
    knots, outputs = len(curves.knots), curves.outputs
    if curves.pieces.shape != (knots, outputs, 4) or curves.weights.shape != (curves.width, outputs):
        yield "its arrays differ in length"
    bounds, columns = curves.bounds, curves.columns
    ordered = len(bounds) == len(columns) + 1 and bounds[0] == 0 and bounds[-1] == knots
    if not ordered or np.any(np.diff(bounds) < 2) or np.any((columns < 0) | (columns >= curves.width)):
        yield "a curve points out of its knots"


def _network(network: Network) -> Iterator[str]:
    shapes = [(layer.weights.shape, layer.bias.shape) for layer in network.layers]
    sound = all(len(weights) == 2 and bias == weights[1:] for weights, bias in shapes)
    chained = sound and all(before[0][1] == after[0][0] for before, after in pairwise(shapes))
    types = {array.dtype for layer in network.layers for array in (layer.weights, layer.bias)}
    if not shapes or not chained or types != {_NUMBER}:
        yield "its layers do not fit each other"
