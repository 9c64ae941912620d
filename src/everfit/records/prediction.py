"""A prediction from answer to label. What a server makes thousands of a second is a msgspec struct, which is made in a
tenth of the time of a frozen dataclass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import Any

import msgspec

from everfit.records.table import Row, Value

# Ends the id of a record that was never answered to anybody; before it stands the id of the prediction that was.
MIRRORED = ".shadow"


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """What a caller gets: for classification `prediction` is a class and `score` the probability of the positive
    class (binary) or of the predicted one (multi-class, all of them in `probabilities`); for regression both are the
    predicted value. `features` are the values that the model read, as the log has them."""

    id: str
    entity: str | None
    prediction: str | float
    score: float
    probabilities: Mapping[str, float] | None
    version: int
    arm: str
    features: Mapping[str, Value] = msgspec.field(default_factory=dict)


class PredictionRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One line of the prediction log. `latency` is in seconds; `error` is set, and the answer's fields empty, when the
    model raised; `probabilities` has each class of more than two, and is None for two classes and for regression."""

    id: str
    time: datetime
    entity: str | None
    input: Row
    features: Mapping[str, Value]
    arm: str
    version: int
    score: float | None
    prediction: str | float | None
    latency: float
    error: str | None = None
    probabilities: Mapping[str, float] | None = None


class PredictionBatch(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What one arm answered to rows that came together and had the same columns: their records, a list a column, which
    are written in a tenth of the time. `entities` is None where no row says whom it is about. A feature that is None
    is the input column of its name as it was sent, whole numbers as floats."""

    ids: Sequence[str]
    time: datetime
    entities: Sequence[str | None] | None
    input: Mapping[str, Sequence[Value]]
    features: Mapping[str, Sequence[Value] | None]
    arm: str
    version: int
    scores: Sequence[float]
    predictions: Sequence[str | float]
    latency: float
    probabilities: Mapping[str, Sequence[float]] | None = None

    def feature(self, name: str) -> Sequence[Value]:
        """The feature's values. Raises KeyError for one that the model does not read.

        >>> noon = datetime(2026, 3, 1, 12)
        >>> sent, read = {"age": [7, None], "plan": ["x", "y"]}, {"age": None}
        >>> two = PredictionBatch(["a", "b"], noon, None, sent, read, "champion", 3, [0.5, 0.1], ["No", "No"], 0.1)
        >>> two.feature("age")
        [7.0, None]
        """
        return as_logged(self.features[name], self.input.get(name, ()))

    def features_by_row(self) -> list[dict[str, Value]]:
        """What the model read of each row."""
        return by_row({name: self.feature(name) for name in self.features}, len(self.ids))

    def records(self) -> Iterator[PredictionRecord]:
        """One record a row."""
        count = len(self.ids)
        given, features = by_row(self.input, count), self.features_by_row()
        shares = repeat(None) if self.probabilities is None else by_row(self.probabilities, count)
        lists = (self.ids, self.entities or repeat(None), given, features, self.scores, self.predictions, shares)
        for identity, entity, sent, read, score, prediction, share in zip(*lists, strict=False):
            yield PredictionRecord(
                identity, self.time, entity, sent, read, self.arm, self.version, score, prediction, self.latency, None,
                share,
            )  # fmt: skip


def as_logged(values: Sequence[Value] | None, sent: Sequence[Value]) -> Sequence[Value]:
    """A feature's values, which where they are None are those that were sent, whole numbers as floats."""
    return [float(value) if type(value) is int else value for value in sent] if values is None else values


# What an append to the prediction log may hold.
Logged = PredictionRecord | PredictionBatch


def by_row(columns: Mapping[str, Sequence[Any]], count: int) -> list[dict[str, Any]]:
    """Columns of so many values as one dictionary a row."""
    if not columns:
        return [{} for _ in range(count)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about an earlier prediction: `known_at` is when it was learned; a later label for the same prediction
    corrects the earlier one and both are kept. `place` is the order in which a store got it, from 1, and `stored_at`
    when; a store that is not told takes its own time."""

    prediction_id: str
    value: str | float
    known_at: datetime
    place: int = field(default=0, compare=False)
    stored_at: datetime | None = field(default=None, compare=False)
