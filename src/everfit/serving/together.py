"""Rows of one request scored together, a list a column: one batch of the log for each arm that answers any of them.

What is out of the ordinary (a row with other columns, a value that cannot be read, personal columns, an arm that fails)
is left to the usual way, which begins anew with the same rows and deals with each of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from everfit.records.prediction import Prediction, PredictionBatch
from everfit.records.release import Arm
from everfit.rollout.routing import route
from everfit.serving.arms import Snapshot
from everfit.serving.asking import Ask, Mask
from everfit.serving.identity import new_ids
from everfit.serving.model import Model
from everfit.serving.sent import Sent
from everfit.serving.values import word

T = TypeVar("T")


class Part(msgspec.Struct, frozen=True):
    """What an arm answered, and the places of its rows in the request."""

    batch: PredictionBatch
    places: Sequence[int]


class Together(msgspec.Struct, frozen=True):
    """Rows that have their answers, which are to be in the log first; `settle` then counts them."""

    count: int
    parts: Sequence[Part]
    settle: Callable[[], None]

    @property
    def batches(self) -> list[PredictionBatch]:
        """What is to be in the log."""
        return [part.batch for part in self.parts]

    def in_order(self, made: Callable[[PredictionBatch], Sequence[T]]) -> list[T]:
        """What is made of each batch, an item a row, in the order of the request."""
        if len(self.parts) == 1:
            return list(made(self.parts[0].batch))
        items = {place: item for part in self.parts for place, item in zip(part.places, made(part.batch), strict=True)}
        return [items[place] for place in range(self.count)]

    def predictions(self) -> list[Prediction]:
        """One a row."""
        return self.in_order(_predictions)


def _predictions(batch: PredictionBatch) -> list[Prediction]:
    return [
        Prediction(one.id, one.entity, said, score, one.probabilities, one.version, one.arm, one.features)
        for one, said, score in zip(batch.records(), batch.predictions, batch.scores, strict=True)
    ]


def parts(snapshot: Snapshot, sent: Sent, mask: Mask, now: datetime) -> list[Part] | None:
    """Every arm on its rows, the champion last; None where the usual way is to be asked. Raises what a model raises."""
    probe = dict.fromkeys(sent.columns)
    entity = snapshot.champion.manifest.entity
    if mask(probe) is not probe or probe.keys() == {entity}:
        return None
    whom = sent.columns.get(entity or "")
    keys = None if whom is None else [word(value) for value in whom]
    ids = new_ids(now, sent.count)
    found = []
    for arm, places in _routed(snapshot, ids, keys).items():
        model, began = snapshot.models[arm.version], time.perf_counter()
        own = sent if len(places) == sent.count else sent.at(places)
        batch = _batch(model, arm, own, [ids[i] for i in places], keys and [keys[i] for i in places], now, began)
        if batch is None:
            return None
        found.append(Part(batch, places))
    return found


def asks(found: Sequence[Part]) -> list[Ask]:
    """The rows as a version in the shadow is asked about them."""
    made = [
        Ask(place, record.id, record.entity, record.entity, record.input)
        for part in found
        for place, record in zip(part.places, part.batch.records(), strict=True)
    ]
    return sorted(made, key=lambda ask: ask.place)


def _routed(snapshot: Snapshot, ids: Sequence[str], keys: Sequence[str | None] | None) -> dict[Arm, Sequence[int]]:
    """The places of each arm's rows, the champion's last."""
    champion, *others = snapshot.table.arms
    if not any(arm.weight for arm in others):
        return {champion: range(len(ids))}
    routed: dict[Arm, list[int]] = {}
    for place, identity in enumerate(ids):
        key = keys[place] if keys is not None else None
        routed.setdefault(route(snapshot.table, key or identity), []).append(place)
    return {arm: routed[arm] for arm in sorted(routed, key=lambda arm: arm == champion)}


def _batch(
    model: Model,
    arm: Arm,
    sent: Sent,
    ids: Sequence[str],
    keys: Sequence[str | None] | None,
    now: datetime,
    began: float,
) -> PredictionBatch | None:
    answers = model.columns(sent)
    if answers is None:
        return None
    return PredictionBatch(
        ids,
        now,
        keys,
        sent.columns,
        answers.features,
        arm.name,
        arm.version,
        answers.scores,
        answers.predictions,
        time.perf_counter() - began,
        answers.probabilities,
    )
