"""LightGBM's boosters, from the text form that the library itself writes. All its arithmetic is float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.records.compiled import Link, Part
from everfit.training.flatten.nodes import Tree, assembled

_LINKS = {
    "binary sigmoid:1": Link.LOGISTIC,
    "multiclass": Link.SOFTMAX,
    "regression": Link.IDENTITY,
    "regression_l1": Link.IDENTITY,
    "huber": Link.IDENTITY,
}
# What a split does with a missing value, in two bits of its `decision_type`.
_NONE, _ZERO = 0, 1
_ZERO_SIZE = float(np.float32(1e-35))


def booster(model: Any) -> Part:
    """A booster over numbers. ValueError for what the compiled form has no arithmetic for."""
    head, *trees = (_fields(block) for block in model.model_to_string().partition("\nend of trees")[0].split("\nTree="))
    objective = head.get("objective", "").partition(" num_class")[0]
    if objective not in _LINKS or "average_output" in head:
        raise ValueError(f"LightGBM's {objective or 'own objective'} has no compiled form")
    outputs = int(head["num_tree_per_iteration"])
    return assembled(
        [_tree(fields) for fields in trees],
        np.zeros(outputs),
        int(head["max_feature_idx"]) + 1,
        link=_LINKS[objective],
    )


def _fields(block: str) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in block.splitlines())}


def _tree(fields: Mapping[str, str]) -> Tree:
    """Splits first, then leaves; a negative child n is the leaf ~n."""
    if fields["num_cat"] != "0" or fields["is_linear"] != "0":
        raise ValueError("LightGBM's splits by category and linear trees have no compiled form")
    leaves = np.array(fields["leaf_value"].split(), dtype=np.float64)
    none = np.zeros(len(leaves))
    if len(leaves) == 1:
        return Tree(none.astype(int), none, _leaf(1), _leaf(1), none.astype(bool), leaves[:, None], none)
    splits = len(leaves) - 1
    threshold = np.array(fields["threshold"].split(), dtype=np.float64)
    kinds = _whole(fields["decision_type"])
    if (((kinds >> 2) & 3) == _ZERO).any():
        raise ValueError("LightGBM's zeros as missing values have no compiled form")
    # Where no value was missing in training, a missing one is read as 0.
    missing = np.where((kinds >> 2) & 3 == _NONE, threshold >= 0, kinds & 2 != 0)
    left, right = (
        np.concatenate((np.where(child < 0, splits + ~child, child), _leaf(len(leaves))))
        for child in (_whole(fields["left_child"]), _whole(fields["right_child"]))
    )
    return Tree(
        np.concatenate((_whole(fields["split_feature"]), none.astype(int))),
        np.concatenate((_across_zero(threshold), none)),
        left,
        right,
        np.concatenate((missing, none.astype(bool))),
        np.concatenate((np.zeros(splits), leaves))[:, None],
        np.concatenate((_whole(fields["internal_count"]), _whole(fields["leaf_count"]))),
    )


def _across_zero(threshold: NDArray[np.float64]) -> NDArray[np.float64]:
    """LightGBM reads numbers as small as its 1e-35 as 0; a threshold among them parts them all from what is beyond."""
    negative = (threshold < 0) & (threshold >= -_ZERO_SIZE)
    positive = (threshold >= 0) & (threshold < _ZERO_SIZE)
    return np.where(negative, np.nextafter(-_ZERO_SIZE, -1.0), np.where(positive, _ZERO_SIZE, threshold))


def _whole(text: str) -> NDArray[np.int64]:
    return np.array(text.split(), dtype=np.int64)


def _leaf(count: int) -> NDArray[np.int64]:
    return np.full(count, -1)
