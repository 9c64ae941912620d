"""Layers of given values, one over the other, each value remembering where it was written."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from everfit.errors import ProjectError
from everfit.project.document import Document, Route, parse_value
from everfit.project.environment import MissingVariable, substitute
from everfit.project.sections.section import FromEnvironment

# Sections that may be written as one word: it stands for this field. Written out, so that layers meet key by key.
_ONE_WORD: dict[Route, str] = {("release",): "strategy", ("data", "target"): "column"}


@dataclass(frozen=True, slots=True)
class Given:
    """Where a value was written: `at` for messages (`everfit.yaml:3:5`), `origin` for whoever asks where a setting
    comes from, `route` as it stands in the file; `variables` are those whose values went into it."""

    at: str
    origin: str
    route: Route
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """Plain data, and for every route in it where it was given."""

    data: Mapping[str, Any]
    given: Mapping[Route, Given]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the file: what is wrong with the setting at `path`, written `at` a place."""

    at: str
    path: str
    what: str
    fix: str = ""


def dotted(route: Route) -> str:
    """The route as people write it.

    >>> dotted(("training", "models", 0, "name"))
    'training.models[0].name'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in route).lstrip(".")


def routes(value: Any, at: Route = ()) -> Iterator[tuple[Route, Any]]:
    """Every value in nested data with its route, outer ones first."""
    yield at, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from routes(inner, (*at, key))


def of_document(document: Document, name: str, above: Route = (), said: str = "") -> Layer:
    """The layer that stands in the document below `above`; `name` and `said` make the origin."""
    data: Any = document.data
    for part in above:
        data = data[part]
    given: dict[Route, Given] = {}
    for route, _ in routes(data or {}):
        full = (*above, *route)
        line = document.positions[full].line if full in document.positions else 1
        given[route] = Given(document.where(full), f"{said}{name}:{line}", full)
    return _expanded(Layer(data or {}, given))


def of_override(text: str) -> Layer:
    """The layer of one `--set a.b=value`; the value is read as YAML.

    >>> of_override("training.seed=7").data
    {'training': {'seed': 7}}
    """
    path, equals, value = text.partition("=")
    route: Route = tuple(path.strip().split("."))
    if not equals or not all(route):
        fix = "write for example --set training.seed=7"
        raise ProjectError("is not PATH=VALUE", where=f"--set {path.strip()}", fix=fix)
    where = f"--set {path.strip()}"
    if route[0] == "environments":
        raise ProjectError("sets an environment, not a value", where=where, fix="set the value itself")
    data: Any = parse_value(value, where)
    for part in reversed(route):
        data = {part: data}
    given = {place: Given(where, "--set", place) for place, _ in routes(data)}
    return _expanded(Layer(data, given))


def merge(lower: Layer, upper: Layer) -> Layer:
    """Mappings are merged key by key; everything else in the upper layer replaces what was below."""
    data = _merged(lower.data, upper.data)
    kept = {route: given for route, given in lower.given.items() if _has(data, route)}
    return Layer(data, kept | dict(upper.given))


def fill(layer: Layer, env: Mapping[str, str]) -> tuple[Layer, list[Problem]]:
    """The layer with every `${NAME}` in its texts replaced; texts that cannot be filled stay, each with a Problem,
    and pass for secrets so that the lack of one variable is told once."""
    given, problems = dict(layer.given), list[Problem]()

    def filled(value: Any, route: Route) -> Any:
        if isinstance(value, dict):
            return {key: filled(inner, (*route, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner, (*route, number)) for number, inner in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        try:
            result = substitute(value, env)
        except (MissingVariable, ValueError) as error:
            problems.append(_unfilled(error, given[route]))
            return FromEnvironment(value)
        if result.used:
            origin = ", ".join([*(f"${name}" for name in dict.fromkeys(result.used)), given[route].origin])
            given[route] = replace(given[route], origin=origin, variables=result.used)
        return result.text

    return Layer(filled(layer.data, ()), given), problems


def _unfilled(error: Exception, given: Given) -> Problem:
    path = dotted(given.route)
    if isinstance(error, MissingVariable):
        fix = f"export {error}=..., write it into .env, or give a default: ${{{error}:-value}}"
        return Problem(given.at, path, f"the environment variable {error} is not set", fix)
    fix = "write ${NAME} or ${NAME:-default}, and $${ where you mean the characters ${"
    return Problem(given.at, path, "a ${ that names no variable", fix)


def _expanded(layer: Layer) -> Layer:
    data, given = copy.deepcopy(dict(layer.data)), dict(layer.given)
    for route, field in _ONE_WORD.items():
        above: Any = data
        for part in route[:-1]:
            above = above.get(part) if isinstance(above, dict) else None
        if isinstance(above, dict) and isinstance(above.get(route[-1]), str):
            above[route[-1]] = {field: above[route[-1]]}
            given[*route, field] = given[route]
    return Layer(data, given)


def _merged(lower: Any, upper: Any) -> Any:
    if not isinstance(lower, dict) or not isinstance(upper, dict):
        return upper
    both = {key: _merged(lower[key], value) if key in lower else value for key, value in upper.items()}
    return {**lower, **both}


def _has(data: Any, route: Sequence[str | int]) -> bool:
    for part in route:
        listed = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if not listed and not (isinstance(data, dict) and part in data):
            return False
        data = data[part]
    return True
