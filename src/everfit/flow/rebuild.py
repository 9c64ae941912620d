"""A version trained again from what its bundle says it was made from, and held against what it was, row by row."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import SecretStr

from everfit.errors import ProjectError, ReleaseError, SourceError, StorageError
from everfit.features.functions import Functions
from everfit.features.functions import load as load_functions
from everfit.flow import artifact, ledger, training
from everfit.flow.code import versions
from everfit.flow.graph import FOLDER, Graph
from everfit.flow.run import Given, runs
from everfit.flow.steps import scoring
from everfit.ports import ArtifactStore, StateStore
from everfit.project.sections.root import Project
from everfit.records.calibration import Calibration, Method
from everfit.records.model import Candidate, Lineage, Manifest
from everfit.records.table import DatasetVersion
from everfit.serving.model import FUNCTIONS
from everfit.training import families
from everfit.training.bundle import open_bundle


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it: `equal` when every row has the same score to the bit and the threshold is the same; `largest` is
    the greatest difference of a score; `libraries` fit the model, with their versions; `changed` is what is no
    longer as it was then, empty unless that was allowed; `chosen` when the search came to the same setting again."""

    version: int
    equal: bool
    rows: int
    largest: float
    family: str
    libraries: str
    fingerprint: str
    chosen: bool
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Original:
    """The version as it is registered: its number, its bundle and what that says and holds."""

    version: int
    bundle: Path
    manifest: Manifest
    functions: Functions


def original(version: int, state: StateStore, artifacts: ArtifactStore) -> Original:
    """The registered version, its bytes verified. Raises ReleaseError where there is none of that number, StorageError
    where its bundle is gone."""
    known = ledger.versions(state)
    if version not in known:
        numbers = ", ".join(map(str, list(known)[-5:])) or "none yet"
        fix = f"choose a registered version (the last ones: {numbers})"
        raise ReleaseError(f"version {version} is not registered", where="rebuild", fix=fix)
    bundle = artifacts.get(known[version].bundle_hash)
    if bundle is None:
        raise StorageError(
            f"the bundle of version {version} is missing or was changed on disk",
            where=f"artifact {known[version].bundle_hash[:12]}",
            fix="restore the artifacts from a backup",
        )
    source = (bundle / FUNCTIONS).read_text(encoding="utf-8")
    return Original(version, bundle, open_bundle(bundle), load_functions(source, FUNCTIONS))


def rebuild(original: Original, project: Project, outside: training.Outside, anyway: bool = False) -> Rebuilt:
    """Trains the version again, search and all, and compares. `project` is today's: it gives the source, the key of
    masked columns and where things run, and the settings of training come from the bundle. Nothing is stored.

    Raises ProjectError where the code or a package is not that of then, unless `anyway`; SourceError where the data is
    neither stored nor in the source any more; StorageError for a bundle that does not say enough.
    """
    manifest = original.manifest
    then = settings(manifest.lineage, project)
    graph, given = training.pipeline(then, outside)
    changed = differences(manifest.lineage, given)
    if changed and not anyway:
        raise ProjectError(
            f"version {original.version} was made with something else: {'; '.join(changed)}",
            where="rebuild",
            fix="install what it was made with, or say --anyway to see how much of a difference that makes",
        )
    table = stored(outside.state, outside.artifacts, manifest.lineage.dataset.fingerprint)
    kept = {} if table is None else {"table": table}
    with tempfile.TemporaryDirectory(prefix="everfit-rebuild-") as scratch:
        made = _Memory(graph, given, kept, Path(scratch))
        return _compared(original, made, then.training.trusted, changed)


def settings(lineage: Lineage, project: Project) -> Project:
    """The project as it was for the training of then; what says where things are is today's."""
    if not lineage.settings:
        raise StorageError(
            "the bundle does not hold the settings that it was trained with: it was made by an earlier everfit",
            where="rebuild",
            fix="train and register the model again",
        )
    # A stored table is masked already, so that any key will do; the source's is masked with today's.
    today = {"source": project.data.source, "key": project.data.key or SecretStr("none")}
    data = {**lineage.settings["data"], **today}
    then = Project.model_validate({"project": project.name, **lineage.settings, "data": data})
    where = {"executor": project.training.executor, "workers": project.training.workers}
    parts = {"data": then.data, "features": then.features, "checks": then.checks}
    return project.model_copy(update={**parts, "training": then.training.model_copy(update=where)})


def differences(lineage: Lineage, given: Mapping[str, Given]) -> tuple[str, ...]:
    """What the model was made with then and would not be now, for people."""
    now = {**given["packages"].value, **versions(lineage.packages)}
    packages = [
        f"{name} {version} then, {now.get(name, 'not installed')} now"
        for name, version in sorted(lineage.packages.items())
        if now.get(name) != version
    ]
    code = "other code of everfit, or of a module that features.py or an estimator imports"
    return (*packages, *([code] if given["code"].value != lineage.code_hash else []))


def stored(state: StateStore, artifacts: ArtifactStore, fingerprint: str) -> pl.DataFrame | None:
    """The raw table of the newest run on data of that fingerprint, if it is still stored and whole."""
    for record in reversed(runs(state)):
        made = {one.name: one.output for one in record.steps if one.output}
        identity = artifacts.get(made["dataset"]) if {"dataset", "table"} <= made.keys() else None
        if identity is not None and artifact.load(DatasetVersion, identity).fingerprint == fingerprint:
            folder = artifacts.get(made["table"])
            if folder is not None:
                table: pl.DataFrame = artifact.load(pl.DataFrame, folder)
                return table
    return None


class _Memory:
    """A graph's values, each made when it is asked for and kept nowhere else."""

    def __init__(self, graph: Graph, given: Mapping[str, Given], kept: Mapping[str, Any], scratch: Path) -> None:
        self._steps = {one.name: one for one in graph.steps}
        self._values: dict[str, Any] = {name: value.value for name, value in given.items()} | dict(kept)
        self._scratch = scratch

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            one = self._steps[name]
            arguments: dict[str, Any] = {
                parameter: self[need] if isinstance(need, str) else tuple(self[part] for part in need)
                for parameter, need in one.needs.items()
            }
            if one.wants_folder:
                folder = arguments[FOLDER] = self._scratch / name
                folder.mkdir()
            self._values[name] = one.function(**arguments)
        return self._values[name]


def _demand_data(then: DatasetVersion, now: DatasetVersion) -> None:
    if now.fingerprint != then.fingerprint:
        raise SourceError(
            f"the data of then is neither stored nor in the source: {then.rows:,} rows {then.fingerprint[:12]} then, "
            f"{now.rows:,} rows {now.fingerprint[:12]} now",
            where=then.source,
            fix="point data.source at that data, for example --set data.source=OLD.csv",
        )


def _compared(original: Original, made: _Memory, trusted: tuple[str, ...], changed: tuple[str, ...]) -> Rebuilt:
    manifest = original.manifest
    _demand_data(manifest.lineage.dataset, made["dataset"])
    calibration = manifest.calibration or Calibration(Method.NONE)
    old = scoring.scores(original.bundle, trusted, manifest.encoder, made["features"], calibration)
    new = made["scores"]
    comparable = old.shape == new.shape
    equal = comparable and np.array_equal(old, new) and made["threshold"].value == manifest.threshold
    largest = float(np.abs(old - new).max(initial=0.0)) if comparable else float("inf")
    return Rebuilt(
        original.version,
        equal,
        len(new),
        largest,
        made["best"].family,
        _library(made["best"], made),
        manifest.lineage.dataset.fingerprint,
        (manifest.family, manifest.params) == (made["best"].family, made["best"].params),
        changed,
    )


def _library(best: Candidate, made: _Memory) -> str:
    """The distributions of the estimators, such as `scikit-learn 1.9.0`."""
    names = {member.family for member in best.members} or {best.family}
    chosen = [one for one in made["choices"] if one.name in names]
    kinds = [families.resolve(choice, made["problem"].task, made["seed"]).estimator for choice in chosen]
    tops = {kind.__module__.partition(".")[0] for kind in kinds}
    return ", ".join(f"{name} {version}" for name, version in versions(tops).items()) or best.family
