"""The JSON shape of an answer, as the project's `serving.response` wants it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import repeat
from typing import Any

import msgspec
from msgspec import UNSET

from everfit.errors import ProjectError
from everfit.project.sections.serving import Response
from everfit.records.prediction import Prediction, PredictionBatch, by_row

_RESERVED = frozenset({"id", "prediction", "version", "arm", "probabilities", "features", "entity"})

Shape = dict[str, Any]


def check_response(response: Response) -> None:
    """Raises ProjectError when the score would take another field's name."""
    if response.score in _RESERVED:
        raise ProjectError(
            f"{response.score!r} is already a field of the answer",
            where="serving.response.score",
            fix="choose another name, for example score",
        )


def entity_field(entity: str, response: Response) -> str:
    """The field that holds the entity: the column's own name, unless another field has it.

    >>> entity_field("customerID", Response()), entity_field("id", Response())
    ('customerID', 'entity')
    """
    return "entity" if entity in _RESERVED or entity == response.score else entity


class Form:
    """Predictions as JSON objects; `entity` is the name of the entity's column. They are structs of the project's own
    fields, which are made and written in a third of the time of dictionaries.

    >>> form = Form("customerID", Response(score="churn_probability", labels={"Yes": "High Risk"}))
    >>> said = Prediction("0191", "7590-VHVEG", "Yes", 0.71, None, version=3, arm="champion")
    >>> msgspec.to_builtins(form.of(said))  # doctest: +NORMALIZE_WHITESPACE
    {'id': '0191', 'customerID': '7590-VHVEG', 'prediction': 'High Risk', 'churn_probability': 0.71,
     'version': 3, 'arm': 'champion'}
    """

    def __init__(self, entity: str | None, response: Response) -> None:
        self._column = entity
        self._labels = response.labels
        self._shows_features = response.features
        names = {"entity": "entity" if entity is None else entity_field(entity, response), "score": response.score}
        fields = ("id", "entity", "prediction", "score", "probabilities", "version", "arm", "features")
        self._made: Any = msgspec.defstruct("Answer", fields, rename=names, gc=False)

    def of(self, prediction: Prediction) -> Any:
        """One of them. What there is not is left out."""
        labels, shares = self._labels, prediction.probabilities
        is_named = self._column is not None and prediction.entity is not None
        return self._made(
            prediction.id,
            prediction.entity if is_named else UNSET,
            called(prediction.prediction, labels),
            prediction.score,
            UNSET if shares is None else {str(called(k, labels)): v for k, v in shares.items()},
            prediction.version,
            prediction.arm,
            dict(prediction.features) if self._shows_features else UNSET,
        )

    def many(self, batch: PredictionBatch) -> list[Any]:
        """The same of each row of a batch."""
        labels, count, shares = self._labels, len(batch.ids), batch.probabilities
        nothing, keys = [UNSET] * count, batch.entities if self._column is not None else None
        return list(
            map(
                self._made,
                batch.ids,
                nothing if keys is None else [UNSET if key is None else key for key in keys],
                [called(one, labels) for one in batch.predictions] if labels else batch.predictions,
                batch.scores,
                nothing if shares is None else by_row({str(called(k, labels)): v for k, v in shares.items()}, count),
                repeat(batch.version),
                repeat(batch.arm),
                batch.features_by_row() if self._shows_features else nothing,
            )
        )


class Forms:
    """The form of each entity's column: models of one server may have another one, or none."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._found: dict[str | None, Form] = {}

    def of(self, entity: str | None) -> Form:
        """The form, made once."""
        if entity not in self._found:
            self._found[entity] = Form(entity, self._response)
        return self._found[entity]


def schema(entity: str | None, response: Response) -> Shape:
    """The answer's JSON schema, for the API's description."""
    fields: dict[str, Any] = {
        "id": {"type": "string", "format": "uuid", "description": "Names the prediction; labels refer to it."},
        "prediction": {"type": ["string", "number"], "description": "The class, or the value for regression."},
        response.score: {"type": "number", "description": "The probability of the class, or the value."},
        "version": {"type": "integer", "description": "The model version that answered."},
        "arm": {
            "type": "string",
            "description": "Its part in the release: champion, challenger, or a name of its own.",
        },
    }
    required = list(fields)
    fields["probabilities"] = {"type": "object", "additionalProperties": {"type": "number"}}
    fields["features"] = {"type": "object", "description": "What the model read."}
    if entity is not None:
        fields[entity_field(entity, response)] = {"type": "string", "description": "Whom the prediction is about."}
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def called(value: str | float, labels: Mapping[str, str]) -> str | float:
    """A class as the project calls it; a number as it is."""
    return labels.get(value, value) if isinstance(value, str) else value
