"""The model bundle: a folder of data-only files, sealed by `bundle.json`, which holds the SHA-256 of all others."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from everfit.errors import MissingExtra, StorageError
from everfit.records import codec
from everfit.records.model import Manifest
from everfit.training import skops_file
from everfit.training.scorers import BoosterScorer, Scorer, is_xgboost, scorer

MANIFEST = "bundle.json"
_SKOPS = "model.skops"
_XGBOOST = "model.ubj"
_UNFINISHED = ".bundle.json.tmp"


def write_estimator(estimator: Any, folder: Path) -> tuple[str, ...]:
    """Writes the fitted estimator as `model.ubj` (XGBoost's own form) or `model.skops`; never a pickle.

    The same estimator gives the same bytes. Returns the types that a reader must trust beyond the built-in ones:
    empty for a built-in family, the user's class for a family of their own. Raises StorageError.
    """
    try:
        if is_xgboost(estimator):
            (folder / _XGBOOST).write_bytes(estimator.get_booster().save_raw("ubj"))
            return ()
        data = skops_file.dump(estimator)
        (folder / _SKOPS).write_bytes(data)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return skops_file.untrusted(data)


def read_estimator(folder: Path, trusted: Sequence[str] = ()) -> Scorer:
    """The estimator of a bundle, ready to score.

    `trusted` names types (`my_models.Ranker`) that may be loaded beyond scikit-learn's; take them from the project,
    not from the bundle. Raises StorageError when the file is absent, damaged or holds a type that is not trusted.
    """
    if (folder / _XGBOOST).is_file():
        return _read_booster(folder / _XGBOOST)
    if (folder / _SKOPS).is_file():
        return scorer(skops_file.load(folder / _SKOPS, trusted))
    raise StorageError(
        f"the bundle holds neither {_XGBOOST} nor {_SKOPS}", where=str(folder), fix="train and register the model again"
    )


def seal(folder: Path, manifest: Manifest) -> Manifest:
    """Writes `bundle.json` with the hash of every other file in the folder, last and at once; returns what it wrote.

    Until then the folder is no bundle, so an interruption leaves no half of one. Raises StorageError.
    """
    sealed = replace(manifest, files=_hashes(folder))
    unfinished = folder / _UNFINISHED
    try:
        with unfinished.open("wb") as file:
            file.write(codec.encode(sealed))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / MANIFEST)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return sealed


def open_bundle(folder: Path) -> Manifest:
    """The bundle's manifest after every file was verified against its hash.

    Raises StorageError naming the first file that is missing, changed or does not belong there.
    """
    try:
        text = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise StorageError(
            "not a finished bundle: bundle.json cannot be read", where=str(folder), fix="train and register it again"
        ) from error
    manifest = codec.decode(Manifest, text, where=str(folder / MANIFEST))
    found = _hashes(folder)
    for name in sorted(found.keys() | manifest.files.keys()):
        if problem := _problem(found.get(name), manifest.files.get(name)):
            raise StorageError(
                f"the bundle's file {name} {problem}",
                where=str(folder / name),
                fix="restore the bundle from the registry or a backup, or train it again",
            )
    return manifest


def _problem(found: str | None, expected: str | None) -> str | None:
    if found == expected:
        return None
    if found is None:
        return "is missing"
    return "does not belong to it" if expected is None else "was changed after it was sealed"


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by relative POSIX path. A symbolic link is refused: what it points to is not in the folder."""
    hashes: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise StorageError(f"the bundle holds the symbolic link {name}", where=str(path), fix="remove it")
        if path.is_file() and name not in (MANIFEST, _UNFINISHED):
            with path.open("rb") as file:
                hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _read_booster(path: Path) -> BoosterScorer:
    try:
        import xgboost
    except ImportError as error:
        raise _needs_xgboost(path) from error
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(path)
    except xgboost.core.XGBoostError as error:
        raise StorageError(
            f"not an XGBoost model: {str(error).splitlines()[0]}", where=str(path), fix="restore the bundle"
        ) from error
    return BoosterScorer(booster, _is_classifier(booster))


def _is_classifier(booster: Any) -> bool:
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    return str(objective).startswith(("binary:", "multi:"))


def _needs_xgboost(path: Path) -> Exception:
    return MissingExtra("the model needs the package xgboost", where=str(path), fix='pip install "everfit[xgboost]"')


def _unwritable(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the bundle could not be written: {error.strerror or error}",
        where=str(folder),
        fix="make room on the disk and the folder writable, then run again",
    )
