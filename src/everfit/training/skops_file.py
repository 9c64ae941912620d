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

# skops does not trust this type, because child indices out of range make its compiled code read foreign memory.
# It is allowed here for scikit-learn's own forests only, and every tree is checked after loading.
_TREE = "sklearn.tree._tree.Tree"
_FORESTS = frozenset(
    f"{kind}{task}" for kind in ("RandomForest", "GradientBoosting") for task in ("Classifier", "Regressor")
)


def dump(estimator: Any) -> bytes:
    """The estimator as a skops archive; equal estimators give equal bytes.

    skops names objects by their memory address and stamps files with the time; here both are counted and fixed.
    """
    import skops.io

    return _canonical(skops.io.dumps(estimator))


def untrusted(data: bytes) -> tuple[str, ...]:
    """The types in the archive that `load` refuses unless they are named to it."""
    import skops.io

    return tuple(t for t in skops.io.get_untrusted_types(data=data) if t != _TREE)


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
        estimator = skops.io.loads(data, trusted=[*trusted, _TREE])
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

    if _TREE in trusted or _TREE not in skops.io.get_untrusted_types(data=data):
        return
    kind = type(estimator)
    sound = kind.__module__.startswith("sklearn.ensemble.") and kind.__name__ in _FORESTS
    if not sound or not all(_is_sound(e.tree_, estimator.n_features_in_) for e in np.ravel(estimator.estimators_)):
        raise StorageError(
            "the model holds a decision tree that is not sound, or not in one of the built-in forests",
            where=str(path),
            fix=f"do not load this file; for a class of your own that holds trees, trust {_TREE} too",
        )


def _is_sound(tree: Any, features: int) -> bool:
    """Children come after their parent and exist; split columns exist."""
    at = np.arange(tree.node_count)
    left, right, column = tree.children_left, tree.children_right, tree.feature
    leaf = (left == -1) & (right == -1)
    inner = (left > at) & (left < tree.node_count) & (right > at) & (right < tree.node_count)
    splits = (column >= 0) & (column < features)
    return bool(tree.n_features == features and np.all(leaf | (inner & splits)))
