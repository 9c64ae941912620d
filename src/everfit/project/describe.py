"""The settings shown: what a loaded project holds and where from, the JSON schema for editors, the reference page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pydantic import SecretStr

from everfit.project.catalogue import Field, default, fields, keys, written
from everfit.project.document import Route
from everfit.project.layers import dotted
from everfit.project.load import Loaded
from everfit.project.sections.root import Project
from everfit.project.sections.section import Section

__all__ = ["Field", "Setting", "fields", "json_schema", "settings", "settings_page"]

HIDDEN = "****"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a loaded project: `value` and `default` as one writes them, secrets as `****`; `origin` is
    `default` where nothing was given."""

    path: str
    value: str
    origin: str
    default: str
    description: str


def settings(loaded: Loaded) -> list[Setting]:
    """Every setting in the order of the file; lists and tables of names are one setting each."""
    return _settings(loaded.project, (), loaded)


def _settings(section: Section, above: Route, loaded: Loaded) -> list[Setting]:
    shown: list[Setting] = []
    plain = section.model_dump(mode="json", by_alias=True)
    for (key, (hint, info)), name in zip(keys(type(section)).items(), type(section).model_fields, strict=True):
        route, value = (*above, key), getattr(section, name)
        if isinstance(value, Section):
            shown += _settings(value, route, loaded)
        elif route != ("environments",):
            text = (
                "" if value is None else HIDDEN if isinstance(value, SecretStr) else written(_masked(plain[key], value))
            )
            origin = loaded.origins.get(route) or loaded.origins.get((*above, name), "default")
            shown.append(Setting(dotted(route), text, origin, default(hint, info), info.description or ""))
    return shown


def _masked(plain: Any, value: Any) -> Any:
    """The plain form with secrets, and passwords in URLs, taken out."""
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, Section):
        named = {info.alias or name: getattr(value, name) for name, info in type(value).model_fields.items()}
        return {key: _masked(inner, named[key]) for key, inner in plain.items() if key in _changed(value)}
    if isinstance(plain, dict):
        return {key: _masked(inner, value[key]) for key, inner in plain.items()}
    if isinstance(plain, list):
        return [_masked(inner, item) for inner, item in zip(plain, value, strict=True)]
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", rf"\1:{HIDDEN}@", plain) if isinstance(plain, str) else plain


def _changed(section: Section) -> set[str]:
    return set(section.model_dump(by_alias=True, exclude_defaults=True))


def json_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of everfit.yaml, for editors: keys as written, and `${NAME}` wherever a value may
    stand."""
    schema: dict[str, Any] = _with_references(Project.model_json_schema(by_alias=True))
    # An overlay is checked when the file is loaded: here it may hold any part of the file.
    whole = {"$ref": "#/$defs/Overlay"}
    schema["$defs"]["Overlay"] = {"type": ["object", "null"], "properties": _but(schema["properties"], "environments")}
    schema["properties"]["environments"]["additionalProperties"] = whole
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "everfit.yaml"}


def _but(properties: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: {"description": value.get("description", "")} for key, value in properties.items() if key != name}


_REFERENCE = {"type": "string", "pattern": r"\$\{[A-Za-z_]"}


def _with_references(schema: Any) -> Any:
    """Numbers, booleans and choices may also be written as `${NAME}`."""
    if isinstance(schema, list):
        return [_with_references(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in ("integer", "number", "boolean") or isinstance(schema.get("enum"), list):
        about = {key: schema[key] for key in ("title", "description", "default") if key in schema}
        return {**about, "anyOf": [{key: value for key, value in schema.items() if key not in about}, _REFERENCE]}
    return {key: value if key in ("default", "required") else _with_references(value) for key, value in schema.items()}


def settings_page() -> str:
    """The reference of every setting in Markdown, one table a section."""
    parts = [_INTRODUCTION]
    for top, group in groupby(fields(), key=lambda field: re.split(r"[.\[]", field.path)[0]):
        parts.append(f"## {top}\n\n{_table(list(group))}")
    return "\n".join(parts)


def _table(rows: list[Field]) -> str:
    lines = ["| Setting | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for row in rows:
        default_ = f"`{row.default}`" if row.default else ""
        cells = (f"`{row.path}`", row.type, default_, row.description)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


_INTRODUCTION = """# Settings

Every key that `everfit.yaml` may hold. Unknown keys are refused. `everfit config` shows each value of a project and
where it comes from.

- Durations are a number and a unit (`90s`, `5m`, `24h`, `30d`, `2w`); shares are `10%` or `0.1`; percentage points are
  `0.5pp`; rates are `1/month` (`hour`, `day`, `week`, `month`, `year`).
- Only `true` and `false` are booleans; `Yes`, `no`, `on` and `off` are text.
- `${NAME}` takes a value from the environment or from a `.env` file beside the project file, `${NAME:-value}` has a
  default, `$${` is a literal `${`. A secret is always written so, as the whole value and without a default. Inside
  `{ }` and `[ ]` put it in quotes.
- `environments:` holds what differs in each environment; `--env NAME` or `EVERFIT_ENV` chooses one (`dev` if neither
  is given), `--set a.b=value` wins over the file.
- `[]` stands for each entry of a list.
"""


if __name__ == "__main__":
    print(settings_page(), end="")
