"""The API's description for people and for machines, with the example of the model that answers now."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from everfit.project.sections import Response
from everfit.records.table import Kind
from everfit.serving import answers
from everfit.serving.arms import Snapshot
from everfit.serving.model import Model

_TYPES = {Kind.NUMERIC: ["number", "null"], Kind.BOOLEAN: ["boolean", "string", "integer", "null"]}
_LABEL = {"prediction_id": "01a1a0d9-f100-7000-8000-000000000000", "value": "Yes"}
_ROUTES = (
    ("POST", "/predict", 'One row, {"rows": [rows]}, or the entity alone. 422 says all that is wrong with a row.'),
    ("POST", "/feedback", 'What turned out to be true: {"prediction_id", "value"}, or {"labels": [labels]}.'),
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
    label = {"type": "object", "required": sorted(_LABEL), "properties": {name: {} for name in _LABEL}}
    counts = {name: {"type": "integer"} for name in ("received", "new")}
    _describe(document, "/feedback", _one_or_many("labels", label), _LABEL, {"type": "object", "properties": counts})
    return document


def _describe(document: dict[str, Any], path: str, body: Any, shown: Any, answer: Any) -> None:
    operation = document["paths"][path]["post"]
    content = {"schema": body, "example": shown}
    operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    operation["responses"] = {
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


def docs(name: str, snapshot: Snapshot, response: Response) -> tuple[str, str]:
    """The page, and the Content-Security-Policy under which it may do nothing but ask this server."""
    shown = json.dumps(example(snapshot), indent=2, ensure_ascii=False)
    arms = ", ".join(f"{arm.name}: version {arm.version} ({arm.weight:.0%})" for arm in snapshot.table.arms)
    rows = "".join(
        f"<tr><td>{method}</td><td><code>{path}</code></td><td>{html.escape(text)}</td></tr>"
        for method, path, text in _ROUTES
    )
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    page = _PAGE.format(
        title=html.escape(name),
        arms=html.escape(arms or "no model is released yet"),
        rows=rows,
        example=html.escape(shown),
        script=_SCRIPT,
    )
    return page, policy


_SCRIPT = """
document.getElementById("send").addEventListener("click", async () => {
  const shown = document.getElementById("answer");
  shown.textContent = "...";
  try {
    const body = document.getElementById("body").value;
    const headers = {"Content-Type": "application/json"};
    const answer = await fetch("predict", {method: "POST", headers, body});
    shown.textContent = answer.status + "\\n" + JSON.stringify(await answer.json(), null, 2);
  } catch (error) {
    shown.textContent = String(error);
  }
});
"""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: API</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
td {{ padding: .2rem 1rem .2rem 0; vertical-align: top; }}
textarea, pre {{ width: 100%; box-sizing: border-box; font: 14px/1.4 ui-monospace, monospace; }}
pre {{ overflow: auto; border: 1px solid; padding: .5rem; min-height: 3rem; }}
button {{ font: inherit; padding: .3rem 1.2rem; }}
</style>
<h1>{title}</h1>
<p>{arms}</p>
<h2>Routes</h2>
<table>{rows}</table>
<h2>Try it</h2>
<p><label for="body">POST /predict with the header <code>Content-Type: application/json</code>:</label></p>
<textarea id="body" rows="18" spellcheck="false">{example}</textarea>
<p><button id="send" type="button">Send</button></p>
<pre id="answer" aria-live="polite"></pre>
<script>{script}</script>
</html>
"""
