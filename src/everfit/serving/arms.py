"""The arms at work: each row of a request to the arm that its key is routed to, and to the champion when that fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from everfit.errors import EverfitError, NotReady, RequestError, StepFailed
from everfit.records.release import Arm, RouteTable
from everfit.rollout.routing import route
from everfit.serving.asking import Ask
from everfit.serving.model import Answer, Model
from everfit.serving.sent import JsonRows

_logger = logging.getLogger("everfit.serving")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Who answers, and with what: every version of the table has its model. `created` says when a model was made."""

    table: RouteTable
    models: Mapping[int, Model]
    created: Mapping[int, datetime] = field(default_factory=dict)

    @property
    def is_quick(self) -> bool:
        """Whether every model answers a row in microseconds."""
        return all(model.compiled is not None for model in self.models.values())

    @property
    def json(self) -> JsonRows | None:
        """What reads bodies of many rows for the champion; None where there is none, or it does not read columns."""
        compiled = self.champion.compiled if self.table.arms else None
        return compiled.json if compiled is not None else None

    @property
    def champion(self) -> Model:
        """The model of the first arm. Raises NotReady for an empty table."""
        if not self.table.arms:
            raise NotReady("no model is released yet", fix="run `everfit release`")
        return self.models[self.table.arms[0].version]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an arm made of the rows that were routed to it, in so many seconds: an answer a row, or the exception."""

    arm: Arm
    asks: Sequence[Ask]
    answers: Sequence[Answer]
    error: Exception | None
    seconds: float


def attempts(snapshot: Snapshot, asks: Sequence[Ask]) -> list[Attempt]:
    """Every arm on its rows, each in one batch; the champion, last, also on the rows of a challenger that failed.

    When the champion failed, nothing will be answered and only the failures are returned. Raises RequestError when
    the champion refuses a row: that is the caller's mistake and no fact about an arm.
    """
    champion = snapshot.table.arms[0]
    routed: dict[Arm, list[Ask]] = {champion: []}
    for ask in asks:
        routed.setdefault(route(snapshot.table, ask.key or ask.id), []).append(ask)
    left = routed.pop(champion)
    done = [attempt(snapshot, arm, members) for arm, members in routed.items()]
    left += [ask for tried in done if tried.error is not None for ask in tried.asks]
    if left:
        done.append(attempt(snapshot, champion, left))
    last = done[-1]
    if last.arm != champion or last.error is None:
        return done
    if isinstance(last.error, RequestError):
        raise last.error
    return [tried for tried in done if tried.error is not None]


def attempt(snapshot: Snapshot, arm: Arm, asks: Sequence[Ask]) -> Attempt:
    """One arm on these rows, whatever comes of it."""
    started = time.perf_counter()
    answers: Sequence[Answer] = ()
    failure: Exception | None = None
    try:
        model = snapshot.models[arm.version]
        answers = model.answer([model.parser.known(ask.row) if ask.stored else ask.row for ask in asks])
    except Exception as error:
        failure = error
        if not isinstance(error, RequestError):
            # A broken challenger may fail a thousand times a second: its traceback is for those who ask for it.
            trace = arm == snapshot.table.arms[0] or _logger.isEnabledFor(logging.DEBUG)
            text = "%s (version %d) failed on %d rows: %s: %s"
            _logger.warning(
                text, arm.name, arm.version, len(asks), type(error).__name__, error, exc_info=error if trace else None
            )
    return Attempt(arm, asks, answers, failure, time.perf_counter() - started)


def failure(attempt: Attempt, model: str) -> EverfitError:
    """What a caller is told when the champion failed."""
    if isinstance(attempt.error, EverfitError):
        return attempt.error
    told = StepFailed(
        "the model could not score the rows",
        where=f"{model} version {attempt.arm.version}",
        fix="the prediction log holds the reason; `everfit rollback` returns to the version before",
    )
    told.__cause__ = attempt.error
    return told
