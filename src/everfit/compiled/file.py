"""The compiled form on disk: one `.npz` of plain arrays, never a pickle, and checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from everfit.compiled.soundness import problems
from everfit.errors import StorageError
from everfit.records import codec
from everfit.records.compiled import Activation, Curves, Form, Layer, Link, Network, Part, Trees

FILE = "compiled.npz"
_TREES = ("nodes", "roots", "depths", "target", "values", "base", "cover")
_CURVES = ("columns", "bounds", "knots", "pieces", "weights", "base")


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
class _Curves:
    kind: Literal["curves"]
    link: Link


@dataclass(frozen=True, slots=True)
class _Head:
    """Everything but the arrays."""

    weights: tuple[float, ...]
    classes: int
    parts: tuple[_Trees | _Network | _Curves, ...]


Arrays = Mapping[str, NDArray[Any]]


def write(form: Form, path: Path) -> None:
    """Writes the form; the same form gives the same bytes."""
    arrays = {f"{i}.{name}": array for i, part in enumerate(form.parts) for name, array in _arrays(part).items()}
    head = codec.encode(_Head(form.weights, form.classes, tuple(_head(part) for part in form.parts)))
    np.savez(path, allow_pickle=False, head=np.frombuffer(head, dtype=np.uint8), **arrays)


def read(path: Path) -> Form:
    """The form in the file. Raises StorageError when it is damaged, or its arrays point out of themselves: the kernel
    does not look twice."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = codec.decode(_Head, arrays.pop("head").tobytes(), where=str(path))
        parts = tuple(_part(one, f"{number}.", arrays) for number, one in enumerate(head.parts))
        form = Form(parts, head.weights, head.classes)
        for problem in problems(form):
            raise ValueError(problem)
    except (OSError, EOFError, BadZipFile, KeyError, ValueError, IndexError) as error:
        raise StorageError(
            f"not a compiled model: {error}", where=str(path), fix="restore the bundle, or train it again"
        ) from error
    return form


def _head(part: Part) -> _Trees | _Network | _Curves:
    if isinstance(part, Trees):
        return _Trees("trees", part.width, part.divisor, part.link, part.single, part.single_sum)
    if isinstance(part, Network):
        return _Network("network", part.link, tuple(layer.activation for layer in part.layers))
    return _Curves("curves", part.link)


def _arrays(part: Part) -> dict[str, NDArray[Any]]:
    if not isinstance(part, Network):
        return {name: getattr(part, name) for name in (_TREES if isinstance(part, Trees) else _CURVES)}
    pairs = [((f"weights{i}", layer.weights), (f"bias{i}", layer.bias)) for i, layer in enumerate(part.layers)]
    return dict(named for pair in pairs for named in pair)


def _part(head: _Trees | _Network | _Curves, prefix: str, arrays: Arrays) -> Part:
    if isinstance(head, _Network):
        found = [
            Layer(arrays[f"{prefix}weights{i}"], arrays[f"{prefix}bias{i}"], activation)
            for i, activation in enumerate(head.activations)
        ]
        return Network(tuple(found), head.link)
    if isinstance(head, _Curves):
        own: Any = {name: arrays[prefix + name] for name in _CURVES}
        return Curves(**own, link=head.link)
    own = {name: arrays[prefix + name] for name in _TREES if prefix + name in arrays or name != "cover"}
    settings: Any = {"width": head.width, "divisor": head.divisor, "link": head.link}
    return Trees(**own, **settings, single=head.single, single_sum=head.single_sum)
