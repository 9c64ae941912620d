"""Trees as libraries hold them, laid out for the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.records.compiled import NODE, Link, Trees

MAX_FEATURES = 2**16
MAX_NODES = 2**32 - 2


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One tree, its root first; all arrays have an entry a node. A row goes left where its value is <= `threshold`, or
    is missing and `missing_left` is set. Where `left` is negative the node is a leaf, and `value`, (nodes, outputs),
    is what it adds. `cover` is the weight of the training rows that came by, None where the library does not say."""

    feature: NDArray[Any]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    cover: NDArray[Any] | None = None


def assembled(
    trees: Sequence[Tree],
    base: NDArray[np.float64],
    width: int,
    *,
    target: Sequence[int] | None = None,
    divisor: float = 1.0,
    link: Link = Link.IDENTITY,
    single: bool = False,
    single_sum: bool = False,
) -> Trees:
    """The trees as one record; see `records.compiled.Trees`. By default the trees take turns at the outputs, or add to
    all of them. ValueError for trees that are too large to be numbered there."""
    placed = [_placed(tree) for tree in trees]
    covers = [cover for *_, cover in placed if cover is not None]
    sizes = np.cumsum([0, *(len(nodes) for nodes, *_ in placed)])
    if sizes[-1] > MAX_NODES or any(int(tree.feature.max(initial=0)) >= MAX_FEATURES for tree in trees):
        raise ValueError("the trees have more nodes or columns than the compiled form can number")
    for (nodes, *_), start in zip(placed, sizes, strict=False):
        nodes["left"] += np.uint32(start)
    if target is None:
        turns = len(base) if placed[0][2].shape[1] < len(base) else 1
        target = [number % turns for number in range(len(trees))]
    return Trees(
        nodes=np.concatenate([nodes for nodes, *_ in placed]),
        roots=sizes[:-1].astype(np.int64),
        depths=np.array([depth for _, depth, *_ in placed], dtype=np.int64),
        target=np.array(target, dtype=np.int64),
        values=np.concatenate([values for _, _, values, _ in placed]),
        base=np.asarray(base, dtype=np.float64),
        width=width,
        divisor=divisor,
        link=link,
        single=single,
        single_sum=single_sum,
        cover=np.concatenate(covers) if len(covers) == len(placed) else np.zeros(0),
    )


def _placed(tree: Tree) -> tuple[NDArray[Any], int, NDArray[np.float64], NDArray[np.float64] | None]:
    """The tree level by level, so that children stand side by side: its nodes, its depth, its leaves' values and its
    nodes' covers."""
    level = np.zeros(1, dtype=np.int64)
    levels = [level]
    while len(inner := level[tree.left[level] >= 0]):
        level = np.column_stack((tree.left[inner], tree.right[inner])).ravel()
        levels.append(level)
    order = np.concatenate(levels)
    place = np.zeros(len(tree.left), dtype=np.int64)
    place[order] = np.arange(len(order))
    leaf = tree.left[order] < 0
    nodes = np.zeros(len(order), NODE)
    nodes["threshold"] = np.where(leaf, np.inf, tree.threshold[order])
    nodes["left"] = np.where(leaf, np.arange(len(order)), place[tree.left[order]])
    nodes["feature"] = np.where(leaf, 0, tree.feature[order])
    nodes["missing_left"] = leaf | tree.missing_left[order]
    cover = None if tree.cover is None else np.asarray(tree.cover, dtype=np.float64)[order]
    return nodes, len(levels) - 1, np.where(leaf[:, None], tree.value[order], 0.0), cover
