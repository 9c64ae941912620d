"""An answer as the prediction log has it, and as the caller gets it."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from everfit.records.prediction import Prediction, PredictionRecord
from everfit.records.release import Arm
from everfit.records.table import Row
from everfit.serving.asking import Ask
from everfit.serving.identity import new_id
from everfit.serving.model import Answer


def record(
    arm: Arm, ask: Ask, answer: Answer | None, now: datetime, seconds: float, error: str | None = None
) -> PredictionRecord:
    """The line of the log, also where there is no answer."""
    if answer is None:
        # A failed attempt is a fact of its own: the prediction's id belongs to whoever answered.
        return PredictionRecord(
            new_id(now), now, ask.key, cast("Row", ask.row), {}, arm.name, arm.version, None, None, seconds, error
        )
    return PredictionRecord(
        ask.id,
        now,
        ask.key,
        # The model's parser let only scalars pass; a refused row never comes as far as this.
        cast("Row", ask.row),
        answer.features,
        arm.name,
        arm.version,
        answer.score,
        answer.prediction,
        seconds,
        None,
        answer.probabilities,
    )


def prediction(arm: Arm, ask: Ask, answer: Answer) -> Prediction:
    """What the caller gets."""
    return Prediction(
        ask.id,
        ask.entity,
        answer.prediction,
        answer.score,
        answer.probabilities,
        arm.version,
        arm.name,
        answer.features,
    )
