"""The JSON shape of an answer, as the project's `serving.response` wants it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Any

import msgspec

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


def shape(prediction: Prediction, entity: str | None, response: Response) -> Shape:
    """One prediction as a JSON object; `entity` is the name of the entity's column.

    >>> said = Prediction("0191", "7590-VHVEG", "Yes", 0.71, None, version=3, arm="champion")
    >>> shape(said, "customerID", Response(score="churn_probability", labels={"Yes": "High Risk"}))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'id': '0191', 'customerID': '7590-VHVEG', 'prediction': 'High Risk', 'churn_probability': 0.71,
     'version': 3, 'arm': 'champion'}
    """
    answer: Shape = {"id": prediction.id}
    if entity is not None and prediction.entity is not None:
        answer[entity_field(entity, response)] = prediction.entity
    answer["prediction"] = called(prediction.prediction, response.labels)
    answer[response.score] = prediction.score
    if prediction.probabilities is not None:
        answer["probabilities"] = {str(called(k, response.labels)): v for k, v in prediction.probabilities.items()}
    answer["version"] = prediction.version
    answer["arm"] = prediction.arm
    if response.features:
        answer["features"] = dict(prediction.features)
    return answer


class Lines:
    """The same for many predictions at once: objects that are written as JSON just as those of `shape` are."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._kinds: dict[str | None, Any] = {}

    def of(self, batch: PredictionBatch, entity: str | None) -> list[Any]:
        """One object a row; `entity` is the name of the entity's column."""
        kind = self._kinds.get(entity)
        if kind is None:
            kind = self._kinds[entity] = self._kind(entity)
        labels, absent = self._response.labels, repeat(msgspec.UNSET)
        whom = [msgspec.UNSET if key is None else key for key in batch.entities] if batch.entities else absent
        said = [called(one, labels) for one in batch.predictions] if labels else batch.predictions
        shares: Iterable[Any] = absent
        if batch.probabilities is not None:
            shares = by_row({str(called(k, labels)): v for k, v in batch.probabilities.items()}, len(batch.ids))
        read = batch.features_by_row() if self._response.features else absent
        return list(
            map(kind, batch.ids, whom, said, batch.scores, shares, repeat(batch.version), repeat(batch.arm), read)
        )

    def _kind(self, entity: str | None) -> Any:
        """A line's fields in the order of `shape`; the entity of a project without one is never set."""
        whom = "entity" if entity is None else entity_field(entity, self._response)
        names = ["id", whom, "prediction", self._response.score, "probabilities", "version", "arm", "features"]
        fields = [(f"f{i}", Any, msgspec.field(name=name)) for i, name in enumerate(names)]
        return msgspec.defstruct("Line", fields, frozen=True, gc=False)


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
