"""The compiled form on disk: one `.npz` of plain arrays, never a pickle, and checked when it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from everfit.errors import StorageError
from everfit.records import codec
from everfit.records.compiled import NODE, Activation, Form, Layer, Link, Network, Part, Trees

FILE = "compiled.npz"
_TREE_ARRAYS = ("nodes", "roots", "depths", "target", "values", "base")
_TYPES = {"nodes": NODE, **dict.fromkeys(("roots", "depths", "target"), np.dtype(np.int64))}


@dataclass(frozen=True, slots=True)
class _Trees:
    kind: Literal["trees"]
    width: int
    divisor: float
    link: Link
    single: bool
    single_sum: bool


@dataclass(frozen=True, slots=True)
class _Network:
    kind: Literal["network"]
    link: Link
    activations: tuple[Activation, ...]


@dataclass(frozen=True, slots=True)
class _Head:
    """Everything but the arrays."""

    weights: tuple[float, ...]
    classes: int
    parts: tuple[_Trees | _Network, ...]


def write(form: Form, path: Path) -> None:
    """Writes the form; the same form gives the same bytes."""
    arrays: dict[str, NDArray[Any]] = {}
    heads: list[_Trees | _Network] = []
    for number, part in enumerate(form.parts):
        head, own = _trees_out(part) if isinstance(part, Trees) else _network_out(part)
        heads.append(head)
        arrays |= {f"{number}.{name}": array for name, array in own.items()}
    head_bytes = codec.encode(_Head(form.weights, form.classes, tuple(heads)))
    np.savez(path, allow_pickle=False, head=np.frombuffer(head_bytes, dtype=np.uint8), **arrays)


def read(path: Path) -> Form:
    """The form in the file. Raises StorageError when it is damaged, or its arrays point out of themselves: the kernel
    does not look twice."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = codec.decode(_Head, arrays.pop("head").tobytes(), where=str(path))
        parts = tuple(_part(one, number, arrays) for number, one in enumerate(head.parts))
        form = Form(parts, head.weights, head.classes)
        for problem in _problems(form):
            raise ValueError(problem)
    except (OSError, EOFError, BadZipFile, KeyError, ValueError) as error:
        raise StorageError(
            f"not a compiled model: {error}", where=str(path), fix="restore the bundle, or train it again"
        ) from error
    return form


def _trees_out(part: Trees) -> tuple[_Trees, dict[str, NDArray[Any]]]:
    head = _Trees("trees", part.width, part.divisor, part.link, part.single, part.single_sum)
    return head, {name: getattr(part, name) for name in _TREE_ARRAYS}


def _network_out(part: Network) -> tuple[_Network, dict[str, NDArray[Any]]]:
    head = _Network("network", part.link, tuple(layer.activation for layer in part.layers))
    arrays: dict[str, NDArray[Any]] = {}
    for number, layer in enumerate(part.layers):
        arrays |= {f"weights{number}": layer.weights, f"bias{number}": layer.bias}
    return head, arrays


def _part(head: _Trees | _Network, number: int, arrays: Mapping[str, NDArray[Any]]) -> Part:
    if isinstance(head, _Network):
        found = [
            Layer(arrays[f"{number}.weights{i}"], arrays[f"{number}.bias{i}"], activation)
            for i, activation in enumerate(head.activations)
        ]
        return Network(tuple(found), head.link)
    own = {name: arrays[f"{number}.{name}"] for name in _TREE_ARRAYS}
    settings = {"width": head.width, "divisor": head.divisor, "link": head.link}
    return Trees(**own, **settings, single=head.single, single_sum=head.single_sum)  # type: ignore[arg-type]  # mixed


def _problems(form: Form) -> Iterator[str]:
    outputs = form.classes if form.classes > 2 else 1
    if not form.parts or len(form.parts) != len(form.weights):
        yield "it has no parts, or not a weight for each"
    for part in form.parts:
        yield from _tree_problems(part) if isinstance(part, Trees) else _layer_problems(part)
        if part.outputs != outputs or part.width != form.parts[0].width:
            yield "its parts differ in shape"


def _tree_problems(trees: Trees) -> Iterator[str]:
    count, leaf = len(trees.nodes), trees.values.shape[-1]
    for name in _TREE_ARRAYS:
        if getattr(trees, name).dtype != _TYPES.get(name, np.dtype(np.float64)):
            yield f"{name} has another type"
            return
    shapes = {len(trees.roots), len(trees.depths), len(trees.target)}
    if len(shapes) != 1 or trees.values.shape != (count, leaf) or leaf not in (1, trees.outputs):
        yield "its arrays differ in length"
        return
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


def _layer_problems(network: Network) -> Iterator[str]:
    sizes = [layer.weights.shape[:1] + layer.bias.shape for layer in network.layers]
    sound = all(layer.weights.shape == (*layer.weights.shape[:1], *layer.bias.shape) for layer in network.layers)
    types = {array.dtype for layer in network.layers for array in (layer.weights, layer.bias)}
    chained = all(a[-1] == b[0] for a, b in pairwise(sizes))
    if not network.layers or not sound or not chained or types != {np.dtype(np.float64)}:
        yield "its layers do not fit each other"
