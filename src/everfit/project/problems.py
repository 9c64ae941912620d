"""What pydantic finds wrong, in plain words, at the line where it was written. No value of a variable is ever shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from itertools import groupby
from typing import Any

from pydantic import ValidationError

from everfit.errors import ProjectError
from everfit.project.catalogue import description, either, fields, keys, sections_at
from everfit.project.document import Route
from everfit.project.layers import Given, Layer, Problem, dotted

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of less than 4,300 digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "dict_type": "names and values",
    "tuple_type": "a list",
}
_LIMITS = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "too_short": "needs at least {min_length} entry",
    "string_pattern_mismatch": "does not have the form that is asked for",
}


def of_validation(error: ValidationError, layer: Layer) -> list[Problem]:
    """Every problem, each once, in the order found. `layer` is what was validated."""
    found = ((_route(item["loc"], item["type"], layer.data), dict(item)) for item in error.errors(include_url=False))
    return [
        _problem(route, [item for _, item in group], layer) for route, group in groupby(found, key=lambda pair: pair[0])
    ]


def failure(problems: Iterable[Problem]) -> ProjectError:
    """One error that holds all the problems, in the order of the file."""
    unique = sorted(dict.fromkeys(problems), key=_line_and_column)
    if len(unique) == 1:
        (only,) = unique
        return ProjectError(_said(only), where=only.at, fix=only.fix)
    lines = [f"{p.at}: {_said(p)}" + (f"\n    fix: {p.fix}" if p.fix else "") for p in unique]
    return ProjectError("\n".join([f"{len(unique)} problems in the project file", *lines]))


def near(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing when no known word is near.

    >>> near("targget", ["source", "target"])
    "; did you mean 'target'?"
    """
    by_folded = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean {by_folded[close[0]]!r}?" if close else ""


def _line_and_column(problem: Problem) -> list[int]:
    return [int(part) for part in problem.at.split(":")[-2:] if part.isdigit()]


def _said(problem: Problem) -> str:
    return f"{problem.path}: {problem.what}" if problem.path else problem.what


def _route(location: tuple[int | str, ...], kind: str, data: Any) -> Route:
    """The location without pydantic's own marks in it (names of union members): what exists in the data, and the
    missing key."""
    route: Route = ()
    for part in location:
        if isinstance(data, Mapping) and part in data:
            data = data[str(part)]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif kind != "missing" or part != location[-1]:
            continue
        route = (*route, part)
    return route


def _given(route: Route, layer: Layer) -> Given:
    while route and route not in layer.given:
        route = route[:-1]
    return layer.given.get(route) or Given("everfit.yaml:1:1", "", ())


def _value(route: Route, data: Any) -> Any:
    for part in route:
        data = data[part]
    return data


def _problem(route: Route, items: list[dict[str, Any]], layer: Layer) -> Problem:
    given, item = _given(route, layer), items[0]
    kind = item["type"]
    describe = _SPECIAL.get(kind)
    if describe:
        what, fix = describe(route, item)
    elif kind in _EXPECTED:
        what, fix = _mistyped(route, items, layer)
    elif kind in _LIMITS:
        what = _LIMITS[kind].format(**item.get("ctx", {}))
        what, fix = f"{what}, found {_shown(_value(route, layer.data))}", description(route)
    else:
        what, fix = item["msg"].removeprefix("Value error, "), description(route)
    written = (*given.route, *route[-1:]) if kind == "missing" else given.route
    return Problem(given.at, dotted(written or route), _hidden(what, route, layer), fix)


def _unknown(route: Route, _: dict[str, Any]) -> tuple[str, str]:
    *above, key = route
    known = _known(tuple(above), str(key))
    hint = near(str(key), known) or (_elsewhere(str(key)) if len(above) < 2 else "")
    return f"unknown key{hint}", f"known here: {', '.join(known)}"


def _known(above: Route, key: str) -> list[str]:
    """The keys of what refused the key (where two kinds of section may stand, the other one may know it)."""
    refusing = [section for section in sections_at(above) if key not in keys(section)]
    return list(dict.fromkeys(known for section in refusing for known in keys(section)))


def _elsewhere(key: str) -> str:
    paths = [setting.path for setting in fields() if setting.path.endswith(f".{key}") and "[" not in setting.path]
    return f"; did you mean {paths[0]!r}?" if paths else ""


def _missing(route: Route, _: dict[str, Any]) -> tuple[str, str]:
    return "is missing", f"add `{route[-1]}: ...`. {description(route)}".strip()


def _not_a_choice(route: Route, item: dict[str, Any]) -> tuple[str, str]:
    choices = re.findall(r"'([^']*)'", item["ctx"]["expected"])
    value = item["input"]
    hint = near(value, choices) if isinstance(value, str) else ""
    return f"{_shown(value)} is not one of {', '.join(choices)}{hint}", description(route)


def _mistyped(route: Route, items: list[dict[str, Any]], layer: Layer) -> tuple[str, str]:
    expected = either(list(dict.fromkeys(_EXPECTED[item["type"]] for item in items if item["type"] in _EXPECTED)))
    value = _value(route, layer.data)
    if value is None:
        return f"has no value, expected {expected}", "give it one, or delete the line"
    fix = description(route)
    if "text" in expected and isinstance(value, (bool, int, float)):
        fix = f"put it in quotes: '{value}'"
    return f"expected {expected}, found {_shown(value)}", fix


_SPECIAL: dict[str, Callable[[Route, dict[str, Any]], tuple[str, str]]] = {
    "extra_forbidden": _unknown,
    "missing": _missing,
    "literal_error": _not_a_choice,
    "enum": _not_a_choice,
}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # A URL may carry a password or be one (a webhook's).
        return repr(re.sub(r"(?<=://).*", "...", value)[:60])
    return repr(value)


def _hidden(text: str, route: Route, layer: Layer) -> str:
    """The text without the values of variables at or below the route, in whatever form it shows them."""
    for place, given in layer.given.items():
        if given.variables and place[: len(route)] == route:
            value = str(_value(place, layer.data))
            name = " ".join(f"${variable}" for variable in given.variables)
            # A short value without quotes around it could be a part of any word.
            for form in (_shown(value), repr(value), value if len(value) > 5 else repr(value)):
                text = text.replace(form, name)
    return text
