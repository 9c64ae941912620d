"""The paths of everfit.yaml's settings, read off the pydantic model that defines them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from everfit.project.sections.root import Project
from everfit.project.sections.section import Section


def _sections(annotation: Any) -> Iterator[type[Section]]:
    """The sections inside an annotation such as `tuple[Annotated[ModelChoice, ...], ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)


def _paths(section: type[Section], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        yield path
        listed = "[]" if get_origin(field.annotation) is tuple else ""
        for inner in _sections(field.annotation):
            yield from _paths(inner, f"{path}{listed}.")


def setting_paths() -> set[str]:
    """Every setting as a dotted path, `[]` for each entry of a list (`training.models[].params`)."""
    return set(_paths(Project, ""))
