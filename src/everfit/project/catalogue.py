"""Every setting that exists, read off the sections' types: its path, its type in words, its default, its meaning."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import SecretStr, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from everfit.project.document import Route
from everfit.project.quantities import Duration, Milliseconds, Points, Rate, Share
from everfit.project.sections.root import Project
from everfit.project.sections.section import Section

_QUANTITIES = {
    "duration (`30d`)": Duration,
    "time (`5ms`)": Milliseconds,
    "share (`10%`)": Share,
    "points (`0.5pp`)": Points,
    "rate (`1/month`)": Rate,
}
_WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    datetime: "date, or date and time",
    type(None): "nothing",
    SecretStr: "secret (`${NAME}`)",
    Any: "anything",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One key of the file. `path` writes list items as `[]` (`training.models[].name`); `default` is empty for what
    must be given; `section` is the sentence that describes the section it stands in."""

    path: str
    type: str
    default: str
    description: str
    section: str


@cache
def keys(section: type[Section]) -> dict[str, tuple[Any, FieldInfo]]:
    """The section's keys as people write them (the alias where there is one), with the full type and the field."""
    hints = get_type_hints(section, include_extras=True)
    return {info.alias or name: (hints[name], info) for name, info in section.model_fields.items()}


def sections(hint: Any) -> tuple[type[Section], ...]:
    """The sections that a type mentions, outermost first."""
    if isinstance(hint, type) and issubclass(hint, Section):
        return (hint,)
    return tuple(found for part in get_args(hint) for found in sections(part))


def sections_at(route: Route) -> tuple[type[Section], ...]:
    """The sections that may stand at a place in the file; none for scalars and unknown places.

    >>> [section.__name__ for section in sections_at(("training", "models", 0))]
    ['ModelChoice']
    """
    at: tuple[type[Section], ...] = (Project,)
    for part in route:
        if isinstance(part, str):
            at = tuple(found for section in at if part in keys(section) for found in sections(keys(section)[part][0]))
    return at


def description(route: Route) -> str:
    """What the setting at a place in the file means; empty for an unknown place."""
    *above, last = route or ("",)
    found = (keys(section)[last] for section in sections_at(tuple(above)) if last in keys(section))
    return next((info.description or "" for _, info in found), "")


@cache
def fields() -> tuple[Field, ...]:
    """Every setting, in the order of the file.

    >>> [s.default for s in fields() if s.path == "training.seed"]
    ['42']
    """
    return tuple(_fields(Project, ""))


def _fields(section: type[Section], above: str) -> Iterator[Field]:
    for key, (hint, info) in keys(section).items():
        path = f"{above}{key}"
        about = (section.__doc__ or "").strip()
        yield Field(path, words(hint), default(hint, info), info.description or "", about)
        many = "[]" if _outer(hint) is tuple else ""
        for inner in sections(hint):
            yield from _fields(inner, f"{path}{many}.")


def default(hint: Any, info: FieldInfo) -> str:
    """The default as one writes it; empty when there is none or nothing is meant by it."""
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None or (sections(hint) and _outer(hint) is not tuple):
        return ""
    adapter = TypeAdapter(hint)
    if _quantity(hint):
        value = adapter.validate_python(value)
    return written(adapter.dump_python(value, mode="json", by_alias=True, exclude_defaults=True))


def written(value: Any) -> str:
    """Plain data in one line of YAML.

    >>> written({"steps": [0.1, 0.5], "on": "Yes"})
    "{steps: [0.1, 0.5], 'on': 'Yes'}"
    """
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def words(hint: Any) -> str:
    """A type as people say it.

    >>> words(int | None), words(tuple[str, ...]), words(Literal["a", "b"])
    ('whole number', 'list of text', '`a` or `b`')
    """
    if quantity := _quantity(hint):
        return quantity
    if hint in _WORDS:
        return _WORDS[hint]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return either([f"`{member}`" for member in hint])
    if isinstance(hint, type) and issubclass(hint, Section):
        return "section"
    return _compound(hint)


def _compound(hint: Any) -> str:
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return words(inside[0])
    if origin is Literal:
        return either([f"`{choice}`" for choice in inside])
    if origin in (Union, types.UnionType):
        return either(list(dict.fromkeys(words(part) for part in inside if part is not type(None))))
    if origin is tuple:
        return f"list of {words(inside[0])}"
    if origin is dict:
        return f"names to {words(inside[1])}"
    raise TypeError(f"no words for {hint!r}")


def _outer(hint: Any) -> Any:
    """The container that a type is, seen through Annotated and `| None`."""
    if get_origin(hint) in (Annotated, Union, types.UnionType):
        return _outer(get_args(hint)[0])
    return get_origin(hint)


def _quantity(hint: Any) -> str:
    return next((name for name, known in _QUANTITIES.items() if hint == known), "")


def either(choices: list[str]) -> str:
    """Choices as people say them: `a, b or c`."""
    return " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))
