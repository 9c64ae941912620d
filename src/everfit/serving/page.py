"""The API's description for people and for machines, with the example of the model that answers now."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from everfit.project.sections.serving import Response
from everfit.records.table import Kind
from everfit.serving import answers, explanations
from everfit.serving.arms import Snapshot
from everfit.serving.model import Model

_TYPES = {Kind.NUMERIC: ["number", "null"], Kind.BOOLEAN: ["boolean", "string", "integer", "null"]}
_LABEL = {"prediction_id": "01a1a0d9-f100-7000-8000-000000000000", "value": "Yes"}
_ROUTES = (
    ("POST", "/predict", 'One row, {"rows": [rows]}, or the entity alone. 422 says all that is wrong with a row.'),
    ("POST", "/feedback", 'What turned out to be true: {"prediction_id", "value"}, or {"labels": [labels]}.'),
    ("GET", "/explain/{id}", "What each feature contributed to a prediction of the log."),
    ("POST", "/invocations", "The same in the forms of MLflow's scoring server."),
    ("POST", "/v2/models/{model}/infer", "The same by the Open Inference Protocol, in JSON or binary."),
    ("GET", "/v2/models/{model}", "What the model takes and gives, by the same protocol."),
    ("GET", "/health", "200 while the process is alive."),
    ("GET", "/ready", "200 once a model is loaded, 503 before."),
    ("GET", "/version", "Which versions answer, with their shares of traffic."),
    ("GET", "/metrics", "Metrics in Prometheus' format."),
    ("GET", "/openapi.json", "This description for machines."),
)


def example(snapshot: Snapshot) -> dict[str, Any]:
    """The model's own example, as far as a request needs it; empty while nothing is released."""
    if not snapshot.table.arms:
        return {}
    manifest = snapshot.champion.manifest
    needed = {*snapshot.champion.parser.required, manifest.entity}
    return {name: value for name, value in manifest.example.items() if name in needed}


def openapi(app: FastAPI, snapshot: Snapshot, response: Response) -> dict[str, Any]:
    """The OpenAPI document, with the columns and the example of the champion."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    entity = snapshot.champion.manifest.entity if snapshot.table.arms else None
    one, answer = _row(snapshot), answers.schema(entity, response)
    _describe(document, "/predict", _one_or_many("rows", one), example(snapshot), _one_or_many("predictions", answer))
    document["paths"]["/explain/{identity}"]["get"]["responses"] = _responses(explanations.schema(entity, response))
    label = {"type": "object", "required": sorted(_LABEL), "properties": {name: {} for name in _LABEL}}
    counts = {name: {"type": "integer"} for name in ("received", "new")}
    _describe(document, "/feedback", _one_or_many("labels", label), _LABEL, {"type": "object", "properties": counts})
    return document


def _describe(document: dict[str, Any], path: str, body: Any, shown: Any, answer: Any) -> None:
    operation = document["paths"][path]["post"]
    content = {"schema": body, "example": shown}
    operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    operation["responses"] = _responses(answer)


def _responses(answer: Any) -> Any:
    return {
        "200": {"description": "Answered.", "content": {"application/json": {"schema": answer}}},
        "default": {"description": "Not answered.", "content": {"application/json": {"schema": _PROBLEM}}},
    }


_PROBLEM = {
    "type": "object",
    "required": ["error", "fix", "where"],
    "properties": {name: {"type": "string"} for name in ("error", "fix", "where")},
}


def _one_or_many(name: str, one: Any) -> Any:
    listed = {"type": "array", "items": one, "minItems": 1}
    return {"anyOf": [one, {"type": "object", "required": [name], "properties": {name: listed}}]}


def _row(snapshot: Snapshot) -> Any:
    if not snapshot.table.arms:
        return {"type": "object"}
    model: Model = snapshot.champion
    columns = {
        column.name: {"type": _TYPES.get(column.kind, ["string", "number", "null"])}
        for column in model.manifest.schema.columns
        if column.name != model.manifest.target
    }
    row = {"type": "object", "properties": columns, "required": list(model.parser.required)}
    entity = model.manifest.entity
    if entity is None:
        return row
    alone = {"type": "object", "properties": {entity: {"type": ["string", "number"]}}, "required": [entity]}
    return {"anyOf": [row, alone | {"maxProperties": 1}]}


def docs(name: str, snapshot: Snapshot, response: Response, behind: str = "") -> tuple[str, str]:
    """The page, and the Content-Security-Policy under which it may do nothing but ask this server. `behind` says why a
    newer release is not served."""
    script, style = _asset("docs.js"), _asset("docs.css")
    policy = (
        f"default-src 'none'; script-src 'sha256-{_digest(script)}'; "
        # The score's bar has its length from the script.
        f"style-src 'sha256-{_digest(style)}'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    examples = _examples(snapshot)
    page = Template(_asset("docs.html")).substitute(
        title=html.escape(name),
        arms=_arms(snapshot),
        behind=f'<p class="banner">{html.escape(f"A newer release is not served: {behind}")}</p>' if behind else "",
        examples="".join(_tab(place, label, text) for place, (label, text) in enumerate(examples)),
        example=html.escape(examples[0][1] if examples else "{}"),
        waiting="What the model says appears here."
        if examples
        else "Nothing answers until <code>everfit release</code>.",
        truths=html.escape(json.dumps(_truths(snapshot, response))),
        score=html.escape(response.score),
        rows="".join(_route(*route) for route in _ROUTES),
        style=style,
        script=script,
    )
    return page, policy


@cache
def _asset(name: str) -> str:
    return files("everfit.serving").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _arms(snapshot: Snapshot) -> str:
    if not snapshot.table.arms:
        return "no model is released yet"
    said = [
        f"<b>version {arm.version}</b> ({html.escape(snapshot.models[arm.version].manifest.family)}), {arm.name}, "
        f"answers {arm.weight:.0%}"
        for arm in snapshot.table.arms
    ]
    return " &middot; ".join(said)


def _examples(snapshot: Snapshot) -> list[tuple[str, str]]:
    """What to ask, by name: whole row, the entity alone, several rows; none while nothing is released."""
    row = example(snapshot)
    if not row:
        return []
    entity = snapshot.champion.manifest.entity
    alone = [(f"{entity} alone", _text({entity: row[entity]}))] if entity in row else []
    return [("One row", _text(row)), *alone, ("Several rows", _text({"rows": [row, row]}))]


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _tab(place: int, label: str, text: str) -> str:
    pressed = "true" if place == 0 else "false"
    shown = html.escape(label)
    return f'<button type="button" aria-pressed="{pressed}" data-example="{html.escape(text)}">{shown}</button>'


def _truths(snapshot: Snapshot, response: Response) -> list[str]:
    classes = snapshot.champion.manifest.classes if snapshot.table.arms else ()
    return [response.labels.get(name, name) for name in classes]


def _route(method: str, path: str, text: str) -> str:
    return f"<tr><td>{method}</td><td><code>{path}</code></td><td>{html.escape(text)}</td></tr>"
