"""A prediction from answer to label. What a server makes thousands of a second is a msgspec struct, which is made in a
tenth of the time of a frozen dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

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
