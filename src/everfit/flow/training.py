"""The training pipeline: from a source to a registered version, as one graph of steps."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from everfit.features.functions import Functions
from everfit.flow.code import CodeIdentity, identity, versions
from everfit.flow.definitions import find
from everfit.flow.graph import Graph, Step, graph, step
from everfit.flow.identities import Identities
from everfit.flow.named import Named
from everfit.flow.run import Given, setting
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
    identities = Identities(outside.artifacts, ("everfit",))
    steps = _steps(identities, project.training, [choice.name for choice in choices])
    codes = {one.name: identities.of(one.function) for one in steps}
    identities.keep()
    own = {choice.name: _own(choice) for choice in choices if choice.estimator}
    given = {
        **_settings(project),
        **_families(project.training, choices, own),
        **_outside(project, outside),
        **_code([codes[one.name] for one in steps if one.cached], [own, _imported(outside.functions)]),
    }
    return graph(steps, given.keys(), (*_LIBRARIES, *families.modules(choices)), codes), given


def _steps(identities: Identities, training: Training, names: list[str]) -> list[Step]:
    """All that a training goes through, each a function of a module of `flow/steps`."""

    def of(module: str, name: str) -> Named:
        return identities.named(f"everfit.flow.steps.{module}", name)

    def every(module: str, *names: str) -> list[Step]:
        return [step(of(module, name)) for name in names]

    return [
        *every("table", "table", "columns", "quality", "valid", "dataset", "problem", "truth", "weight", "test"),
        *every("features", "names", "features", "encoder", "searched_rows", "folds"),
        *_search(of, training, names),
        *every("scoring", "calibration", "threshold", "scores"),
        *every("inspection", "leakage_warnings", "slices"),
        *every("compiling", "compiled", "exactness"),
        *every("exporting", "exported", "exports"),
        *every("assessment", "importance", "evaluation", "pictures", "shap_importance", "reports", "profile"),
        step(of("assessment", "gates"), rules="gate_rules"),
        *every("assessment", "champion_scores", "champion_metrics"),
        step(of("assessment", "differences"), rules="gate_rules"),
        step(of("assessment", "comparison"), rules="gate_rules"),
        *every("publish", "lineage", "example", "manifest", "bundle"),
        step(of("registration", "version"), cached=False),
    ]


def _search(of: Callable[[str, str], Named], training: Training, names: list[str]) -> list[Step]:
    """Steps of its own for each family, so that what one of them found is kept whatever happens to the others; then
    what all of them came to."""
    found = [step(of("model", "terms")), step(of("model", "estimator"))]
    if training.search == "race":
        found.append(step(of("model", "going"), firsts=tuple(f"first_{name}" for name in names)))
    for name in names:
        choice, first, granted = f"choice_{name}", f"first_{name}", f"trials_{name}"
        if training.search == "race":
            found.append(step(of("model", "first"), name=first, choice=choice))
            found.append(step(of("model", "granted"), name=granted, choice=choice))
            tuned = of("model", "tuned")
            found.append(step(tuned, name=f"search_{name}", choice=choice, first=first, granted=granted))
        else:
            found.append(step(of("model", "drawn"), name=f"search_{name}", choice=choice))
    searched = tuple(f"search_{name}" for name in names)
    return [
        *found,
        step(of("model", "blended"), searched=searched if training.blend else ()),
        step(of("model", "candidates"), searched=searched),
        step(of("model", "best")),
        step(of("model", "out_of_fold"), searched=searched),
    ]


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


def _code(codes: Sequence[CodeIdentity], own: object) -> dict[str, Given]:
    """The code and the libraries that a model is made with, for its lineage; publishing is not among them. `own` is
    the identity of what the user wrote beside the project."""
    digest = hashlib.sha256(json.dumps([[one.digest for one in codes], own]).encode()).hexdigest()
    packages = {name: version for one in codes for name, version in sorted(one.packages.items())}
    return {"code": setting(digest), "packages": setting(dict(sorted(packages.items())))}
