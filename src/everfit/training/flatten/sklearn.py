"""scikit-learn's estimators. Its trees read float32 and compare with float64 thresholds; sums are float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.records.compiled import Activation, Layer, Link, Network, Part
from everfit.training.flatten.nodes import Tree, assembled


def linear(estimator: Any) -> Part:
    """LogisticRegression and Ridge."""
    weights = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64)).T
    bias = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64), (weights.shape[1],)).copy()
    return Network((Layer(np.ascontiguousarray(weights), bias),), _link(estimator, weights.shape[1]))


def forest(estimator: Any) -> Part:
    """RandomForest and ExtraTrees: the mean of the trees; of two classes only the positive one is kept."""
    trees = [member.tree_ for member in estimator.estimators_]
    values = [_shares(tree) for tree in trees]
    return assembled(
        [_tree(tree, value) for tree, value in zip(trees, values, strict=True)],
        np.zeros(values[0].shape[1]),
        int(estimator.n_features_in_),
        divisor=float(len(trees)),
        single=True,
    )


def gradient_boosting(estimator: Any) -> Part:
    """GradientBoosting: one tree a class and round, each leaf already multiplied by the learning rate."""
    stages = np.asarray(estimator.estimators_)
    width = int(estimator.n_features_in_)
    # What it starts from does not depend on the row: its own initial estimators are constants.
    base = np.asarray(estimator._raw_predict_init(np.zeros((1, width), dtype=np.float32)), dtype=np.float64)[0]  # noqa: SLF001  there is no public name
    trees = [member.tree_ for member in stages.ravel()]
    return assembled(
        [_tree(tree, estimator.learning_rate * tree.value[:, 0, :]) for tree in trees],
        base,
        width,
        link=_link(estimator, stages.shape[1]),
        single=True,
    )


def hist_gradient_boosting(estimator: Any) -> Part:
    """HistGradientBoosting, which reads float64. It offers its trees to nobody; these names have stood since 0.21."""
    rounds = estimator._predictors  # noqa: SLF001
    base = np.ravel(estimator._baseline_prediction).astype(np.float64)  # noqa: SLF001
    trees = [_histogram_tree(predictor.nodes) for members in rounds for predictor in members]
    return assembled(trees, base, int(estimator.n_features_in_), link=_link(estimator, len(base)))


def _histogram_tree(nodes: NDArray[Any]) -> Tree:
    if nodes["is_categorical"].any():
        raise ValueError("splits by category have no compiled form")
    leaf = nodes["is_leaf"] != 0
    left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
    missing, value = nodes["missing_go_to_left"] != 0, nodes["value"][:, None]
    feature = np.where(leaf, 0, nodes["feature_idx"])
    return Tree(feature, nodes["num_threshold"], left, right, missing, value, nodes["count"])


def network(estimator: Any) -> Part:
    """MLPClassifier and MLPRegressor, and what everfit derives from them."""
    count = len(estimator.coefs_)
    kinds = [Activation(estimator.activation)] * (count - 1) + [Activation.IDENTITY]
    layers = [
        Layer(np.asarray(weights, dtype=np.float64), np.asarray(bias, dtype=np.float64), kind)
        for weights, bias, kind in zip(estimator.coefs_, estimator.intercepts_, kinds, strict=True)
    ]
    return Network(tuple(layers), Link(estimator.out_activation_))


def _tree(tree: Any, value: NDArray[np.float64]) -> Tree:
    missing = np.asarray(getattr(tree, "missing_go_to_left", np.zeros(tree.node_count)), dtype=bool)
    left, right = tree.children_left.astype(np.int64), tree.children_right.astype(np.int64)
    return Tree(tree.feature, tree.threshold, left, right, missing, value, tree.weighted_n_node_samples)


def _shares(tree: Any) -> NDArray[np.float64]:
    value: NDArray[np.float64] = tree.value[:, 0, :]
    return value[:, 1:] if value.shape[1] == 2 else value


def _link(estimator: Any, outputs: int) -> Link:
    if not hasattr(estimator, "predict_proba"):
        return Link.IDENTITY
    return Link.LOGISTIC if outputs == 1 else Link.SOFTMAX


FLATTENERS: Mapping[str, Callable[[Any], Part]] = {
    "LogisticRegression": linear,
    "Ridge": linear,
    "RandomForestClassifier": forest,
    "RandomForestRegressor": forest,
    "GradientBoostingClassifier": gradient_boosting,
    "GradientBoostingRegressor": gradient_boosting,
    "HistGradientBoostingClassifier": hist_gradient_boosting,
    "HistGradientBoostingRegressor": hist_gradient_boosting,
    "NeuralClassifier": network,
    "NeuralRegressor": network,
}
