"""The last step of the quick way: what is in the log is answered, what could not be is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from everfit.records.prediction import Prediction
from everfit.serving.predictor import Predictor, Ready, Scored

# The body of an answer of status 200, or why there is none.
Respond = Callable[[bytes | None, Exception | None], None]
# A prediction as the project wants it.
Shape = Callable[[Prediction], Any]
encode = msgspec.json.Encoder().encode


def written(
    predictor: Predictor, shape: Shape, error: Exception | None, found: Ready | Scored, respond: Respond
) -> None:
    """Answers one row whose records are written, or were not."""
    if error is not None:
        predictor.metrics.unlogged(len(found.records))
        fail(predictor, error, respond)
        return
    try:
        body = encode(shape(found.settled(predictor)))
    except Exception as raised:  # noqa: BLE001  the caller is told
        fail(predictor, raised, respond)
    else:
        respond(body, None)


def fail(predictor: Predictor, error: Exception, respond: Respond) -> None:
    """Tells the caller, and counts it."""
    predictor.metrics.failed(str(getattr(error, "status", 500)))
    respond(None, error)
