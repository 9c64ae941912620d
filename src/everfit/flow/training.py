"""The training pipeline: from a source to a registered version, as one graph of steps."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from everfit.features.functions import Functions
from everfit.flow.code import identity, versions
from everfit.flow.definitions import find
from everfit.flow.graph import Graph, Step, graph, step
from everfit.flow.identities import Identities
from everfit.flow.run import Given, setting
from everfit.flow.steps import assessment, compiling, exporting, features, inspection, model, publish, scoring, table
from everfit.ports import ArtifactStore, Executor, Progress, Registry, Source, StateStore
from everfit.project.sections.root import Project
from everfit.project.sections.training import ModelChoice, Training
from everfit.training import families

_LIBRARIES = (
    "scipy.stats",
    "scipy.optimize",
    "scipy.interpolate",
    "sklearn.linear_model",
    "sklearn.ensemble",
    "skops.io",
    "optuna",
    "xgboost",
    "matplotlib.figure",
)


@dataclass(frozen=True)
class Outside:
    """All that the pipeline takes from outside the project file. `champion` is None also where the bundle of that
    digest is gone or damaged. `cores` are those of the final fit."""

    source: Source
    functions: Functions
    champion: Path | None
    champion_digest: str
    executor: Executor
    progress: Progress
    registry: Registry
    artifacts: ArtifactStore
    state: StateStore
    author: str
    cores: int
    clock: Callable[[], datetime]


def pipeline(project: Project, outside: Outside) -> tuple[Graph, Mapping[str, Given]]:
    """The graph for this project and everything given to it."""
    choices = families.competing(project.training)
    steps = [
        *_plain(table.table, table.columns, table.quality, table.valid, table.dataset, table.problem),
        *_plain(
            table.truth,
            table.weight,
            table.test,
            features.names,
            features.features,
            features.encoder,
            features.searched_rows,
            features.folds,
        ),
        step(model.terms),
        *_search(project.training, [choice.name for choice in choices]),
        *_plain(model.estimator, scoring.calibration, scoring.threshold, scoring.scores),
        *_plain(inspection.leakage_warnings, inspection.slices),
        *_plain(compiling.compiled, compiling.exactness, exporting.exported, exporting.exports),
        *_plain(assessment.importance, assessment.evaluation, assessment.pictures),
        *_plain(assessment.shap_importance, assessment.reports, assessment.profile),
        step(assessment.gates, rules="gate_rules"),
        *_plain(assessment.champion_scores, assessment.champion_metrics),
        step(assessment.differences, rules="gate_rules"),
        step(assessment.comparison, rules="gate_rules"),
        *_plain(publish.lineage, publish.example, publish.manifest, publish.bundle),
        step(publish.version, cached=False),
    ]
    own = {choice.name: _own(choice) for choice in choices if choice.estimator}
    given = {
        **_settings(project),
        **_families(project.training, choices, own),
        **_outside(project, outside),
        **_code(steps, outside.artifacts, [own, _imported(outside.functions)]),
    }
    return graph(steps, given.keys(), (*_LIBRARIES, *families.modules(choices))), given


def _search(training: Training, names: list[str]) -> list[Step]:
    """Steps of its own for each family, so that what one of them found is kept whatever happens to the others; then
    what all of them came to."""
    found = []
    if training.search == "race":
        found.append(step(model.going, firsts=tuple(f"first_{name}" for name in names)))
    for name in names:
        choice, first, granted = f"choice_{name}", f"first_{name}", f"trials_{name}"
        if training.search == "race":
            found.append(step(model.first, name=first, choice=choice))
            found.append(step(model.granted, name=granted, choice=choice))
            found.append(step(model.tuned, name=f"search_{name}", choice=choice, first=first, granted=granted))
        else:
            found.append(step(model.drawn, name=f"search_{name}", choice=choice))
    searched = tuple(f"search_{name}" for name in names)
    return [
        *found,
        step(model.blended, searched=searched if training.blend else ()),
        step(model.candidates, searched=searched),
        step(model.best),
        step(model.out_of_fold, searched=searched),
    ]


def _plain(*functions: Callable[..., Any]) -> list[Step]:
    return [step(function) for function in functions]


def _settings(project: Project) -> dict[str, Given]:
    training, data = project.training, project.data
    values = {
        "model": project.backends.model or project.name,
        "personal": data.personal,
        "kinds": data.columns,
        "rules": project.checks,
        "target": data.target,
        "time": data.time,
        "since": data.since,
        "entity": data.entity,
        "weight_column": data.weight,
        "split": data.split,
        "data": data,
        "use": project.features.use,
        "metric": training.metric,
        "trials": training.budget.trials,
        "select": training.select,
        "seconds": training.budget.seconds and training.budget.seconds / len(families.competing(training)),
        "fold_count": training.budget.folds,
        "most_rows": training.budget.rows,
        "seed": training.seed,
        "class_weight": training.class_weight,
        "monotone": training.monotone,
        "calibration_method": training.calibration,
        "threshold_rule": training.threshold,
        "shap": training.shap,
        "export": tuple(dict.fromkeys(training.export)),
        "gate_rules": project.gates,
        "source_name": data.source,
    }
    return {name: setting(value) for name, value in values.items()}


def _families(training: Training, competing: tuple[ModelChoice, ...], own: Mapping[str, object]) -> dict[str, Given]:
    """The families as configured. Those of the user's own are known by their code as well, wherever it may run: what
    fits the same numbers may still score otherwise."""
    choices = {f"choice_{c.name}": Given(c, setting([c, own.get(c.name)]).identity) for c in competing}
    every = {"choices": competing, "trusted": training.trusted}
    return choices | {name: Given(value, setting([value, own]).identity) for name, value in every.items()}


def _own(choice: ModelChoice) -> object:
    """The code of a family of the user's own, and the versions of what it is built on."""
    found = identity(families.own_estimator(choice), ((choice.estimator or "").partition(".")[0],))
    return [found.digest, found.packages]


def _outside(project: Project, outside: Outside) -> dict[str, Given]:
    key = project.data.key.get_secret_value() if project.data.key else None
    settings = _made_by(project)
    config = hashlib.sha256(json.dumps([settings, project.data.source]).encode())
    return {
        "source": Given(outside.source, outside.source.identity()),
        "masking_key": Given(key, hashlib.sha256(b"masking" + key.encode()).hexdigest() if key else ""),
        "functions": Given(
            outside.functions, setting([outside.functions.digest, _imported(outside.functions)]).identity
        ),
        "champion": Given(outside.champion, outside.champion_digest if outside.champion else ""),
        "config": setting(config.hexdigest()),
        "settings": setting(settings),
        "executor": Given(outside.executor),
        "progress": Given(outside.progress),
        "cores": Given(outside.cores),
        "registry": Given(outside.registry),
        "artifacts": Given(outside.artifacts),
        "state": Given(outside.state),
        "author": Given(outside.author),
        "clock": Given(outside.clock),
    }


def _made_by(project: Project) -> dict[str, Any]:
    """The sections that decide what is made, as they could be written. Where trials run changes nothing about what they
    find, and where the data is may hold a password."""
    return project.model_dump(
        mode="json",
        by_alias=True,
        include={"data", "features", "training", "checks"},
        exclude={"data": {"source", "key"}, "training": {"executor", "workers"}},
    )


def _imported(functions: Functions) -> dict[str, object]:
    """What the user's functions import, by package: its version, or its text where it lies beside the project."""
    nodes = list(ast.walk(ast.parse(functions.source)))
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    found: dict[str, object] = {}
    for name in sorted(set(named)):
        top = name.partition(".")[0]
        source = None if top in sys.stdlib_module_names or versions([top]) else find(name)
        found[name] = source.digest if source else versions([top])
    return found


def _code(steps: list[Step], artifacts: ArtifactStore, own: object) -> dict[str, Given]:
    """The code and the libraries that a model is made with, for its lineage; publishing is not among them. `own` is
    the identity of what the user wrote beside the project."""
    identities = Identities(artifacts, ("everfit",))
    every = [(one.cached, identities.of(one.function)) for one in steps]
    identities.keep()
    found = [own for cached, own in every if cached]
    digest = hashlib.sha256(json.dumps([[one.digest for one in found], own]).encode()).hexdigest()
    packages = {name: version for one in found for name, version in sorted(one.packages.items())}
    return {"code": setting(digest), "packages": setting(dict(sorted(packages.items())))}
