"""XGBoost's boosters, from the JSON form that the library itself writes. All its arithmetic is float32."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.records.compiled import Link, Part
from everfit.training.flatten.nodes import Tree, assembled

_LINKS = {
    "binary:logistic": Link.LOGISTIC,
    "reg:logistic": Link.LOGISTIC,
    "multi:softprob": Link.SOFTMAX,
    "reg:squarederror": Link.IDENTITY,
    "reg:absoluteerror": Link.IDENTITY,
    "reg:pseudohubererror": Link.IDENTITY,
}


def booster(model: Any) -> Part:
    """A `gbtree` booster over numbers. ValueError for what the compiled form has no arithmetic for."""
    learner = json.loads(bytes(model.save_raw("json")))["learner"]
    objective, boosted = learner["objective"]["name"], learner["gradient_booster"]
    if objective not in _LINKS or boosted["name"] != "gbtree":
        raise ValueError(f"XGBoost's {boosted['name']} with {objective} has no compiled form")
    found = boosted["model"]
    link = _LINKS[objective]
    base = _base(learner["learner_model_param"]["base_score"], link)
    outputs = max(1, int(learner["learner_model_param"]["num_class"]))
    return assembled(
        [_tree(tree) for tree in found["trees"]],
        np.broadcast_to(base, (outputs,)).astype(np.float64),
        int(learner["learner_model_param"]["num_feature"]),
        target=found["tree_info"],
        link=link,
        single=True,
        single_sum=True,
    )


def _base(text: str, link: Link) -> NDArray[np.float32]:
    """What each class's sum starts from: the stored score, for a logistic objective its log-odds."""
    score = np.asarray(json.loads(text), dtype=np.float32)
    if link is Link.LOGISTIC:
        one = np.float32(1.0)
        # The odds are float32; a logarithm in float64, rounded once, is what the C library's logf returns.
        score = -np.log((one / score - one).astype(np.float64)).astype(np.float32)
    return score


def _tree(tree: dict[str, Any]) -> Tree:
    """Goes left below the threshold, which among float32 is the same as up to the number before it."""
    if any(tree["split_type"]):
        raise ValueError("XGBoost's splits by category have no compiled form")
    left, right = (np.array(tree[f"{side}_children"], dtype=np.int64) for side in ("left", "right"))
    numbers = np.array(tree["split_conditions"], dtype=np.float32)
    before = np.nextafter(numbers, np.float32(-np.inf))
    missing = np.array(tree["default_left"], dtype=bool)
    feature = np.array(tree["split_indices"], dtype=np.int64)
    value, cover = numbers.astype(np.float64)[:, None], np.array(tree["sum_hessian"], dtype=np.float64)
    return Tree(feature, before.astype(np.float64), left, right, missing, value, cover)
