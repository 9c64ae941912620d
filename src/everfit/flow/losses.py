"""The losses on the champion's labels, taken up one by one where the last look left off."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.flow import performance
from everfit.monitoring import losses
from everfit.ports import StateStore
from everfit.project.sections.root import Project
from everfit.records.codec import decode, encode
from everfit.records.model import Manifest
from everfit.records.profile import LossKind
from everfit.records.table import Task
from everfit.records.watch import LossReport, LossState

LOSSES = "losses"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Watched:
    """Whose labels they are, and since when it answers."""

    project: Project
    manifest: Manifest
    version: int
    since: datetime


def watch(
    state: StateStore, watched: Watched, answered: pl.DataFrame, known: pl.DataFrame, now: datetime, alpha: float
) -> LossReport | None:
    """The detector after the labels that have counted since it was last asked; None where there are none, or the model
    was made without a baseline. What it knows is kept in the state store, and begins anew with a version.

    `alpha` is how many false alarms a look may raise on average. That many labels as a look has seen on average so far,
    divided by it, is the average number of labels between two false alarms."""
    baseline = watched.manifest.profile.losses
    if baseline is None:
        return None
    last = state.last(LOSSES)
    before = decode(LossState, last[1], where=f"loss state {last[0]}") if last else LossState(watched.version)
    if before.version != watched.version:
        before = LossState(watched.version)
    fresh = performance.Fresh(known, before.at or _EPOCH, before.place, now)
    pairs = performance.counted(watched.project, answered, fresh)
    if baseline.kind is LossKind.BRIER_OF_CLASSES:
        pairs = performance.of_classes(pairs, watched.manifest)
    if not pairs.height:
        return None
    looks = max((now - watched.since) / watched.project.looking.every, 1.0)
    run_length = max((before.labels + pairs.height) / looks, 1.0) / alpha
    new, tolerance = _losses(pairs, watched.manifest, baseline.kind), watched.project.monitoring.tolerance
    after, found = losses.watch(baseline, new, before, tolerance, run_length, pairs["time"].to_list())
    newest = max(before.place, int(known["place"].max() or 0))  # type: ignore[arg-type]  # places are whole numbers
    state.append(LOSSES, encode(replace(after, at=now, place=newest)))
    if found.since is None:
        return found
    changed = answered.filter(pl.col("time") >= found.since)
    return replace(found, labelled=changed.join(known, left_on="id", right_on="prediction_id", how="semi").height)


def _losses(pairs: pl.DataFrame, manifest: Manifest, kind: LossKind) -> NDArray[np.float64]:
    truth, score = performance.truths(pairs, manifest), pairs["score"].cast(pl.Float64).to_numpy()
    right = performance.predicted(pairs, manifest) == truth
    if kind is LossKind.BRIER_OF_CLASSES:
        score = performance.scores(pairs, manifest)
    elif manifest.task is Task.MULTICLASS:  # a baseline of before
        truth = right
    return losses.losses(kind, score, truth, right)
