"""The JSON of an explanation, and the route that answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool

from everfit.errors import MissingExtra
from everfit.project.sections.serving import Response
from everfit.records.explanation import Contribution
from everfit.serving.answers import Shape, called, entity_field
from everfit.serving.explaining import Explained, Explainer
from everfit.serving.predictor import Predictor


def endpoint(
    explainer: Explainer | None, predictor: Predictor, response: Response
) -> Callable[[str], Awaitable[Shape]]:
    """What answers GET /explain/ID; without an explainer it says that nothing is explained here."""

    async def explain(identity: str) -> Shape:
        if explainer is None:
            raise MissingExtra("this server explains nothing", where="/explain", fix="start it with `everfit serve`")
        found = await run_in_threadpool(explainer.explain, identity)
        return shape(found, predictor.snapshot.champion.manifest.entity, response)

    return explain


def shape(explained: Explained, entity: str | None, response: Response) -> Shape:
    """The record as /predict answered it, and what its score is made of; `entity` is the name of the entity's column.

    `base` and the contributions add up to `output`, in `unit`.
    """
    record, found = explained.record, explained.explanation
    answer: Shape = {"id": record.id, "time": record.time}
    if entity is not None and record.entity is not None:
        answer[entity_field(entity, response)] = record.entity
    return answer | {
        "prediction": called(record.prediction or "", response.labels),
        response.score: record.score,
        "version": record.version,
        "arm": record.arm,
        "method": found.method,
        "unit": found.unit,
        "class": None if found.about is None else called(found.about, response.labels),
        "base": found.base,
        "output": found.output,
        "contributions": [_contribution(each) for each in found.contributions],
    }


def _contribution(each: Contribution) -> dict[str, Any]:
    shown = {"feature": each.feature, "value": each.value, "contribution": each.amount}
    return shown if each.error is None else {**shown, "error": each.error}


def schema(entity: str | None, response: Response) -> Shape:
    """The answer's JSON schema, for the API's description."""
    number, text = {"type": "number"}, {"type": "string"}
    contribution = {
        "type": "object",
        "required": ["feature", "value", "contribution"],
        "properties": {
            "feature": text,
            "value": {"description": "What the model read, as the prediction log has it."},
            "contribution": number,
            "error": {**number, "description": "The standard error, where permutations were drawn."},
        },
    }
    fields: dict[str, Any] = {
        "id": text,
        "time": {**text, "format": "date-time"},
        "prediction": {"type": ["string", "number"]},
        response.score: number,
        "version": {"type": "integer"},
        "arm": text,
        "method": {"enum": ["trees", "terms", "blend", "sampled"]},
        "unit": {"enum": ["value", "probability", "log-odds", "margin"]},
        "class": {"type": ["string", "null"], "description": "Whose score is explained."},
        "base": {**number, "description": "The output on average over the training rows."},
        "output": {**number, "description": "`base` and all contributions together."},
        "contributions": {"type": "array", "items": contribution},
    }
    required = list(fields)
    if entity is not None:
        fields[entity_field(entity, response)] = text
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}
