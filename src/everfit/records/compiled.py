"""A fitted model as flat arrays: data that a kernel walks, with no code and no library object inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

# One node of a tree. Its children stand side by side, the right one at `left + 1`. A leaf is its own left child, its
# threshold is infinite and missing values go left, so that who has arrived stays.
NODE = np.dtype([("threshold", "<f8"), ("left", "<u4"), ("feature", "<u2"), ("missing_left", "<u2")])


class Link(StrEnum):
    """From a raw sum to a score."""

    IDENTITY = "identity"
    LOGISTIC = "logistic"
    SOFTMAX = "softmax"


class Activation(StrEnum):
    """What follows a layer."""

    IDENTITY = "identity"
    RELU = "relu"
    TANH = "tanh"
    LOGISTIC = "logistic"


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Trees whose leaves are added, one tree after the other, to `base`; the sum over `divisor` goes through `link`.

    `nodes` is (nodes,) of NODE for all trees in a row, `roots` and `depths` are (trees,) int64, `values` (nodes, 1) or
    (nodes, outputs) float64, `base` (outputs,) float64. Tree t adds its leaf's values to the outputs from `target[t]`
    on. `single` says that the library rounds what it reads to float32, `single_sum` that it adds and links in float32.
    `cover`, (nodes,) float64, is the weight of the training rows that came by each node, as the library counts them;
    empty in a form of before it was kept.
    """

    nodes: NDArray[Any]
    roots: NDArray[np.int64]
    depths: NDArray[np.int64]
    target: NDArray[np.int64]
    values: NDArray[np.float64]
    base: NDArray[np.float64]
    width: int
    divisor: float = 1.0
    link: Link = Link.IDENTITY
    single: bool = False
    single_sum: bool = False
    cover: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def outputs(self) -> int:
        """How many scores a row has."""
        return len(self.base)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """`activation(x @ weights + bias)`: `weights` is (inputs, outputs), `bias` (outputs,)."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    activation: Activation = Activation.IDENTITY


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Layers one after the other; a linear model is a network of one. The last one's outputs go through `link`."""

    layers: tuple[Layer, ...]
    link: Link = Link.IDENTITY

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return len(self.layers[0].weights)

    @property
    def outputs(self) -> int:
        """How many scores a row has."""
        return len(self.layers[-1].bias)


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """A weight for each column and a piecewise cubic curve for some, added to `base`, (outputs,), and put through
    `link`.

    `weights` is (width, outputs). Curve c bends column `columns[c]` and has the knots from `bounds[c]` to below
    `bounds[c + 1]`, of all `knots`; after knot i, at the distance u, output k gets `pieces[i, k]`, the coefficients of
    1, u, u**2 and u**3. Beyond the outer knots a curve goes on as a constant.
    """

    columns: NDArray[np.int64]
    bounds: NDArray[np.int64]
    knots: NDArray[np.float64]
    pieces: NDArray[np.float64]
    weights: NDArray[np.float64]
    base: NDArray[np.float64]
    link: Link = Link.IDENTITY

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return len(self.weights)

    @property
    def outputs(self) -> int:
        """How many scores a row has."""
        return len(self.base)


Part = Trees | Network | Curves


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A model: the scores of its `parts`, weighted and added. `classes` is 0 for regression; a binary model has one
    output, the probability of the positive class."""

    parts: tuple[Part, ...]
    weights: tuple[float, ...]
    classes: int
