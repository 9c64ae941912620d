"""Estimators in skops' data-only form, written to equal bytes and read with an explicit list of allowed types."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np

from everfit.errors import StorageError

# skops does not trust these types, because child indices out of range make their compiled code read foreign memory.
# They are allowed here in scikit-learn's own ensembles only, and every tree is checked after loading.
_TREE = "sklearn.tree._tree.Tree"
_HISTOGRAM_TREE = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
_TREES = {_TREE, _HISTOGRAM_TREE}
_TASKS = ("Classifier", "Regressor")
_FORESTS = {f"{kind}{task}" for kind in ("RandomForest", "GradientBoosting") for task in _TASKS}
_HISTOGRAM = {f"HistGradientBoosting{task}" for task in _TASKS}
# Ours, and nothing but scikit-learn's networks.
_NETWORKS = {f"everfit.training.networks.Neural{task}" for task in _TASKS}
_ALLOWED = _TREES | _NETWORKS


def dump(estimator: Any) -> bytes:
    """The estimator as a skops archive; equal estimators give equal bytes.

    skops names objects by their memory address and stamps files with the time; here both are counted and fixed.
    """
    import skops.io

    return _canonical(skops.io.dumps(estimator))


def untrusted(data: bytes) -> tuple[str, ...]:
    """The types in the archive that `load` refuses unless they are named to it."""
    import skops.io

    return tuple(t for t in skops.io.get_untrusted_types(data=data) if t not in _ALLOWED)


def load(path: Path, trusted: Sequence[str] = ()) -> Any:
    """The estimator; types beyond skops' own trusted ones must be in `trusted`.

    Raises StorageError naming the types that are not, and for an archive that is damaged.
    """
    import skops.io

    data = path.read_bytes()
    try:
        strange = [t for t in untrusted(data) if t not in trusted]
        if strange:
            raise StorageError(
                "the model holds types that are not trusted: " + ", ".join(strange),
                where=str(path),
                fix="name the class under training.models if it is yours; otherwise do not load this file",
            )
        estimator = skops.io.loads(data, trusted=[*trusted, *sorted(_ALLOWED)])
    except (BadZipFile, KeyError, ValueError, TypeError, AttributeError, ImportError) as error:
        raise StorageError(
            f"the model could not be read: {type(error).__name__}: {error}",
            where=str(path),
            fix="restore the bundle; a class of your own must be importable, and scikit-learn of the same version",
        ) from error
    _check_trees(estimator, data, trusted, path)
    return estimator


def _canonical(data: bytes) -> bytes:
    source = ZipFile(io.BytesIO(data))
    schema = json.loads(source.read("schema.json"))
    numbers: dict[int, int] = {}
    names: dict[str, str] = {}
    for node in _nodes(schema):
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        if isinstance(name := node.get("file"), str):
            node["file"] = names.setdefault(name, f"{len(names) + 1}{Path(name).suffix}")
    target = io.BytesIO()
    with ZipFile(target, "w") as archive:
        for old, new in names.items():
            archive.writestr(ZipInfo(new), source.read(old))
        archive.writestr(ZipInfo("schema.json"), json.dumps(schema, separators=(",", ":")))
    return target.getvalue()


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node
            pending.extend(reversed(node.values()))
        elif isinstance(node, list):
            pending.extend(reversed(node))


def _check_trees(estimator: Any, data: bytes, trusted: Sequence[str], path: Path) -> None:
    import skops.io

    held = _TREES.intersection(skops.io.get_untrusted_types(data=data)).difference(trusted)
    if held and not _holds_sound_trees(estimator):
        raise StorageError(
            "the model holds a decision tree that is not sound, or not in one of the built-in forests",
            where=str(path),
            fix=f"do not load this file; for a class of your own that holds trees, trust {', '.join(sorted(held))} too",
        )


def _holds_sound_trees(estimator: Any) -> bool:
    kind, width = type(estimator), getattr(estimator, "n_features_in_", 0)
    if not kind.__module__.startswith("sklearn.ensemble."):
        return False
    if kind.__name__ in _FORESTS:
        return all(_is_sound(one.tree_, width) for one in np.ravel(estimator.estimators_))
    if kind.__name__ in _HISTOGRAM:
        return all(_is_sound_histogram(one.nodes, width) for row in estimator._predictors for one in row)  # noqa: SLF001
    return False


def _is_sound(tree: Any, features: int) -> bool:
    """Children come after their parent and exist; split columns exist."""
    leaf = (tree.children_left == -1) & (tree.children_right == -1)
    return bool(
        tree.n_features == features and _follow(leaf, tree.children_left, tree.children_right, tree.feature, features)
    )


def _is_sound_histogram(nodes: Any, features: int) -> bool:
    """The same for a tree on histograms, whose splits are all on numbers here."""
    leaf = nodes["is_leaf"].astype(bool)
    columns = nodes["feature_idx"].astype(np.int64)
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    return not nodes["is_categorical"].any() and _follow(leaf, left, right, columns, features)


def _follow(leaf: Any, left: Any, right: Any, column: Any, features: int) -> bool:
    """Whether every node is a leaf, or splits on a column that exists into nodes that come after it and exist."""
    at = np.arange(len(leaf))
    inner = (left > at) & (left < len(leaf)) & (right > at) & (right < len(leaf))
    splits = (column >= 0) & (column < features)
    return bool(len(leaf) and np.all(leaf | (inner & splits)))
