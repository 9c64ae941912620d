"""everfit.yaml, an environment's overlay, `--set` and the environment's variables to one checked Project."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from everfit.errors import ProjectError
from everfit.project.document import Document, Route, read
from everfit.project.environment import read_env_file
from everfit.project.layers import Layer, Problem, dotted, fill, merge, of_document, of_override
from everfit.project.problems import failure, near, of_validation
from everfit.project.sections.root import Project

DEFAULT_ENVIRONMENT = "dev"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A project with its surroundings. Paths in it stay as written, relative to `root`. `origins` says for every
    route that was given where its value comes from: `everfit.yaml:12`, `environment staging, everfit.yaml:40`,
    `--set`, `$PORT, everfit.yaml:12`; what is not in it has its default."""

    project: Project
    path: Path
    root: Path
    environment: str
    origins: Mapping[Route, str]
    overrides: tuple[str, ...] = ()


def load(
    path: str | Path,
    environment: str | None = None,
    overrides: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Loaded:
    """Reads and checks the project file.

    Later ones win: the file, its `environments: {NAME: ...}` overlay, `overrides` (`training.seed=7`). `${NAME}` is
    taken from `env` (os.environ if not given) and then from a `.env` file beside the project file. The environment is
    `environment`, else EVERFIT_ENV, else `dev`. The overlays of all environments are checked, whichever is chosen;
    only their variables may be missing.

    Raises ProjectError with every problem in it, each with file, line and column.
    """
    path = Path(path)
    document = read(path)
    known = {**read_env_file(path.parent / ".env"), **(os.environ if env is None else env)}
    chosen = environment or known.get("EVERFIT_ENV") or DEFAULT_ENVIRONMENT
    overlays, problems = _overlays(document, path.name)
    if chosen not in {*overlays, DEFAULT_ENVIRONMENT}:
        raise _unknown_environment(chosen, list(overlays), document)
    base = _base(document, path.name)
    settings = [of_override(text) for text in overrides]
    project, layer, found = _check(_stacked(base, overlays.get(chosen), settings), known)
    problems += found
    for name, overlay in overlays.items():
        if name != chosen:
            problems += _check_other(_stacked(base, overlay, []), known)
    if problems or project is None:
        raise failure(problems)
    raw = {name: dict(document.data["environments"][name] or {}) for name in overlays}
    origins = {route: given.origin for route, given in layer.given.items() if route}
    return Loaded(
        project.model_copy(update={"environments": raw}), path, path.resolve().parent, chosen, origins, tuple(overrides)
    )


def _base(document: Document, name: str) -> Layer:
    whole = of_document(document, name)
    data = {key: value for key, value in whole.data.items() if key != "environments"}
    return Layer(data, {route: given for route, given in whole.given.items() if route[:1] != ("environments",)})


def _overlays(document: Document, name: str) -> tuple[dict[str, Layer], list[Problem]]:
    """The overlay of each environment, and what is wrong with their form."""
    section = document.data.get("environments") or {}
    if not isinstance(section, dict):
        at = document.where(("environments",))
        fix = "write `environments:` and below it `staging:` with what differs there"
        return {}, [Problem(at, "environments", "expected names of environments", fix)]
    overlays: dict[str, Layer] = {}
    problems: list[Problem] = []
    for key, value in section.items():
        route = ("environments", key)
        if value is not None and (not isinstance(value, dict) or "environments" in value):
            fix = "write only the settings that differ from the rest of the file"
            problems.append(Problem(document.where(route), dotted(route), "is not a mapping of settings", fix))
        else:
            overlays[key] = of_document(document, name, route, f"environment {key}, ")
    return overlays, problems


def _unknown_environment(name: str, known: list[str], document: Document) -> ProjectError:
    names = sorted({*known, DEFAULT_ENVIRONMENT})
    return ProjectError(
        f"there is no environment {name!r}{near(name, names)}",
        where=document.where(("environments",)),
        fix=f"choose one of {', '.join(names)}, or add `{name}:` below `environments:`",
    )


def _stacked(base: Layer, overlay: Layer | None, settings: Sequence[Layer]) -> Layer:
    layer = merge(base, overlay) if overlay else base
    for setting in settings:
        layer = merge(layer, setting)
    return layer


def _check(layer: Layer, env: Mapping[str, str]) -> tuple[Project | None, Layer, list[Problem]]:
    filled, problems = fill(layer, env)
    unfilled = {problem.path for problem in problems}
    project, found = _validated(filled)
    return project, filled, problems + [problem for problem in found if problem.path not in unfilled]


def _check_other(layer: Layer, env: Mapping[str, str]) -> list[Problem]:
    """What is wrong with the project in an environment that is not the one at hand: there, variables may be missing."""
    filled, problems = fill(layer, env)
    unfilled = {problem.path for problem in problems if "is not set" in problem.what}
    malformed = [problem for problem in problems if problem.path not in unfilled]
    return malformed + [problem for problem in _validated(filled)[1] if problem.path not in unfilled]


def _validated(layer: Layer) -> tuple[Project | None, list[Problem]]:
    data: Any = layer.data
    try:
        return Project.model_validate(data), []
    except ValidationError as error:
        # Raised by the caller, outside this block: pydantic's own text holds values, and must not hang on ours.
        return None, of_validation(error, layer)
