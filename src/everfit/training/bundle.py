"""The model bundle: a folder of data-only files, sealed by `bundle.json`, which holds the SHA-256 of all others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from everfit.errors import StorageError
from everfit.records import codec
from everfit.records.model import Manifest, Member
from everfit.training import additive_file, catboost_file, lightgbm_file, skops_file, xgboost_file
from everfit.training.scorers import BlendScorer, Scorer, package, scorer

MANIFEST = "bundle.json"
BLEND = "blend.json"
MEMBERS = "members"
SKOPS = "model.skops"
_UNFINISHED = ".bundle.json.tmp"
# The forms beside skops: each library's own, and ours for additive models.
_FORMS = {"xgboost": xgboost_file, "lightgbm": lightgbm_file, "catboost": catboost_file}
_READERS: Mapping[str, Callable[[Path], Scorer]] = {
    form.FILE: form.read for form in (xgboost_file, lightgbm_file, catboost_file, additive_file)
}


def write_estimator(estimator: Any, folder: Path) -> tuple[str, ...]:
    """Writes the fitted estimator as one file in a data-only form, never a pickle: `model.ubj` (XGBoost), `model.txt`
    (LightGBM), `model.cbm` (CatBoost), `additive.json` (linear models on splines) or `model.skops`.

    The same estimator gives the same bytes. Returns the types that a reader must trust beyond the built-in ones:
    empty for a built-in family, the user's class for a family of their own. Raises StorageError.
    """
    form = additive_file if hasattr(estimator, "additive_") else _FORMS.get(package(estimator))
    try:
        if form is not None:
            form.write(estimator, folder / form.FILE)
            return ()
        data = skops_file.dump(estimator)
        (folder / SKOPS).write_bytes(data)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return skops_file.untrusted(data)


def read_estimator(folder: Path, trusted: Sequence[str] = ()) -> Scorer:
    """The estimator of a bundle, ready to score.

    `trusted` names types (`my_models.Ranker`) that may be loaded beyond scikit-learn's; take them from the project,
    not from the bundle. Raises StorageError when the file is absent, damaged or holds a type that is not trusted.
    """
    if (folder / BLEND).is_file():
        return _read_blend(folder, trusted)
    for name, read in _READERS.items():
        if (folder / name).is_file():
            return read(folder / name)
    if (folder / SKOPS).is_file():
        return scorer(skops_file.load(folder / SKOPS, trusted))
    raise StorageError(
        f"the bundle holds no model: neither {SKOPS} nor {', '.join(_READERS)}",
        where=str(folder),
        fix="train and register the model again",
    )


def write_member(estimator: Any, member: Member, folder: Path) -> tuple[str, ...]:
    """Writes a member of a blend into `members/FAMILY`, as `write_estimator` does."""
    place = folder / MEMBERS / member.family
    try:
        place.mkdir(parents=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return write_estimator(estimator, place)


def write_blend(members: Sequence[Member], folder: Path) -> None:
    """Writes `blend.json`: the weight of each member by its folder below `members`, in the order of the sum."""
    try:
        (folder / BLEND).write_bytes(codec.encode(BlendFile({member.family: member.weight for member in members})))
    except OSError as error:
        raise _unwritable(folder, error) from error


@dataclass(frozen=True, slots=True)
class BlendFile:
    """What `blend.json` holds."""

    weights: Mapping[str, float]


def _read_blend(folder: Path, trusted: Sequence[str]) -> BlendScorer:
    weights = codec.decode(BlendFile, (folder / BLEND).read_bytes(), where=str(folder / BLEND)).weights
    strange = [name for name in weights if name != Path(name).name or not (folder / MEMBERS / name).is_dir()]
    if strange or not weights:
        raise StorageError(
            f"the blend has no member {strange[0]!r}" if strange else "the blend has no members",
            where=str(folder / BLEND),
            fix="restore the bundle from the registry or a backup, or train it again",
        )
    members = tuple(read_estimator(folder / MEMBERS / name, trusted) for name in weights)
    return BlendScorer(tuple(weights.values()), members)


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


def _unwritable(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the bundle could not be written: {error.strerror or error}",
        where=str(folder),
        fix="make room on the disk and the folder writable, then run again",
    )
