"""CatBoost's models, from the JSON form that the library itself writes. It reads float32 and adds in float64.

Its trees are oblivious: all nodes of a level ask the same question, so a tree of depth d is a list of d questions and a
table of 2**d leaves. The last question is the first bit of a leaf's number.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.records.compiled import Link, Part
from everfit.training.flatten.nodes import Tree, assembled

_MAX_DEPTH = 10


def model(model: Any, is_classifier: bool) -> Part:
    """A model over numbers. ValueError for what the compiled form has no arithmetic for."""
    found = _document(model)
    scale, bias = found["scale_and_bias"]
    outputs = len(bias)
    features = found["features_info"]["float_features"]
    if set(found["features_info"]) - {"float_features"} or any(f["nan_value_treatment"] != "AsIs" for f in features):
        raise ValueError("CatBoost's categories and missing values have no compiled form")
    columns = {f["feature_index"]: f["flat_feature_index"] for f in features}
    link = (Link.LOGISTIC if outputs == 1 else Link.SOFTMAX) if is_classifier else Link.IDENTITY
    return assembled(
        [_tree(tree, columns, float(scale), outputs) for tree in found["oblivious_trees"]],
        np.array(bias, dtype=np.float64),
        len(features),
        link=link,
        single=True,
    )


def _document(model: Any) -> Any:
    with tempfile.TemporaryDirectory(prefix="everfit-") as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        return json.loads(path.read_bytes())


def _tree(tree: Mapping[str, Any], columns: Mapping[int, int], scale: float, outputs: int) -> Tree:
    """The complete tree level by level: node n has the children 2n + 1 and 2n + 2, the second above the border. The
    last question, a leaf's highest bit, stands first, as where CatBoost itself explains a tree."""
    splits = (tree["splits"] or [])[::-1]
    depth = len(splits)
    if depth > _MAX_DEPTH or any(split["split_type"] != "FloatFeature" for split in splits):
        raise ValueError(f"CatBoost's trees deeper than {_MAX_DEPTH} or over categories have no compiled form")
    inner, nodes = 2**depth - 1, np.arange(2 ** (depth + 1) - 1)
    level = np.floor(np.log2(nodes + 1)).astype(np.int64)
    value = np.zeros((len(nodes), outputs))
    value[inner:] = scale * np.array(tree["leaf_values"], dtype=np.float64).reshape(-1, outputs)
    feature = np.array([columns[split["float_feature_index"]] for split in splits] + [0], dtype=np.int64)
    border = np.array([split["border"] for split in splits] + [0.0], dtype=np.float32).astype(np.float64)
    left = np.where(nodes < inner, 2 * nodes + 1, -1)
    cover = _covers(np.array(tree["leaf_weights"], dtype=np.float64))
    return Tree(feature[level], border[level], left, left + 1, np.ones(len(nodes), dtype=bool), value, cover)


def _covers(leaves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level by level from the leaves' weights: a node has what its children have."""
    levels = [leaves]
    while len(levels[-1]) > 1:
        levels.append(levels[-1].reshape(-1, 2).sum(axis=1))
    return np.concatenate(levels[::-1])
