"""What a challenger is judged on, from the prediction log and the labels: the records of both arms as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.data import target as targets
from everfit.errors import ReleaseError
from everfit.flow.monitoring import CLOCKS
from everfit.ports import LabelStore, PredictionLog
from everfit.project.sections.release import Release
from everfit.records.model import Manifest
from everfit.records.prediction import MIRRORED
from everfit.records.release import Criterion, ReleaseState, Strategy
from everfit.records.table import Task
from everfit.rollout import quantiles
from everfit.rollout.criteria import Loss, Scale
from everfit.rollout.tally import Observed, Step

SETTLED = timedelta(minutes=1)  # after which a record is in the log
_THRESHOLDS = 15
_LEAST_PROBABILITY = 0.01
_BOTH = 0.5  # both versions score every request, so each is one of two
_BEFORE = timedelta(days=1)
_LEAST_BEFORE = 300
_TASKS: Mapping[Criterion, tuple[Task, ...]] = {
    Criterion.ACCURACY: (Task.BINARY, Task.MULTICLASS),
    Criterion.BRIER: (Task.BINARY,),
    Criterion.LOG_LOSS: (Task.BINARY,),
    Criterion.MAE: (Task.REGRESSION,),
}
_FIELDS = ("id", "time", "entity", "arm", "version", "error", "latency", "score", "prediction")


@dataclass(frozen=True, slots=True)
class Trial:
    """Where the evidence is; `manifest` is the champion's, `delay` how long a label takes to mature."""

    log: PredictionLog
    labels: LabelStore
    settings: Release
    manifest: Manifest
    delay: timedelta


def scale(trial: Trial, state: ReleaseState) -> Scale:
    """What the counts will mean, known before any of them was. Raises ReleaseError for a criterion that the target does
    not have."""
    sample = np.asarray(trial.manifest.profile.score.sample, dtype=np.float64)
    levels = np.arange(1, _THRESHOLDS + 1) / (_THRESHOLDS + 1)
    thresholds = np.unique(np.quantile(sample, levels)) if len(sample) else np.array([0.5])
    centres = np.searchsorted(np.sort(sample), thresholds, side="right") / max(1, len(sample))
    margins = trial.settings.verdict.margins
    losses = [_loss(criterion, trial.manifest) for criterion in margins if criterion in _TASKS]
    tail = _tail(trial.log, state) if Criterion.LATENCY in margins else None
    return Scale(thresholds, centres, losses, trial.settings.verdict.latency_floor, tail)


def _tail(log: PredictionLog, state: ReleaseState) -> float | None:
    """The champion's 99% quantile of latency in the day before the release; None of too few requests."""
    began = state.step_times[0]
    rows = log.frame(("time", "version", "latency", "error"), began - _BEFORE, began)
    found = rows.filter(pl.col("version") == state.champion, pl.col("error").is_null()).unique(["time", "latency"])
    if found.height < _LEAST_BEFORE:
        return None
    return quantiles.quantile(quantiles.classes(found["latency"].to_numpy()), 0.99)


def steps(state: ReleaseState, until: datetime) -> list[Step]:
    """The steps of the release under way that began before `until`."""
    ends = [*state.step_times[1:], until]
    times = [(since, min(end, until)) for since, end in zip(state.step_times, ends, strict=True) if since < until]
    return [
        Step(since.timestamp(), end.timestamp(), share or _BOTH)
        for (since, end), share in zip(times or [(until, until)], state.steps, strict=False)
    ]


def observed(
    trial: Trial, state: ReleaseState, losses: Sequence[Loss], now: datetime, since: datetime | None = None
) -> Observed:
    """What both arms did from the release's start, or `since`, with the losses of the predictions whose labels have
    matured. An entity's code is the same in every look."""
    rows = _rows(trial.log, state, now, since or state.step_times[0])
    time = rows["time"].dt.epoch("us").to_numpy() / 1e6
    codes = rows.select(pl.coalesce("entity", "asked").hash()).to_series().to_numpy().view(np.int64)
    return Observed(
        time=time,
        version=rows["version"].to_numpy(),
        # A mirrored entity is one of its own: both versions score it.
        entity=codes ^ rows["mirrored"].cast(pl.Int64).to_numpy(),
        failed=rows["error"].to_numpy(),
        latency=rows["latency"].to_numpy(),
        score=rows["score"].fill_null(float("nan")).to_numpy(),
        losses=_losses(trial, rows, losses, now, state.step_times[0]),
    )


def _rows(log: PredictionLog, state: ReleaseState, now: datetime, since: datetime) -> pl.DataFrame:
    """The columns `_FIELDS` of both arms in the order of their time, `error` as whether there was one; `asked` is the
    id of the prediction that was answered."""
    arms = [version for version in (state.champion, state.challenger) if version is not None]
    rows = (
        log.frame(_FIELDS, since, now)
        .filter(pl.col("version").is_in(arms))
        .with_columns(
            pl.col("error").is_not_null(),
            mirrored=pl.col("id").str.ends_with(MIRRORED),
            asked=pl.col("id").str.strip_suffix(MIRRORED),
        )
    )
    if state.strategy in (
        Strategy.AB,
        Strategy.THOMPSON,
    ):  # an arm that was stopped is answered by the champion, and is nobody's evidence
        rows = rows.filter((pl.col("version") == state.challenger) | (pl.col("arm") == state.names[0]))
    return _paired(rows, state).sort("time", maintain_order=True)


def _paired(rows: pl.DataFrame, state: ReleaseState) -> pl.DataFrame:
    """Without what the champion answered in a mirrored step and the shadow did not score, as it was too slow."""
    if state.strategy is not Strategy.SHADOW:
        return rows
    end = state.step_times[1] if len(state.step_times) > 1 else None
    mirroring = pl.lit(True) if end is None else pl.col("time") < end
    both = rows.filter("mirrored").select("asked")
    return pl.concat([rows.filter(~mirroring), rows.filter(mirroring).join(both, on="asked", how="semi")])


def _loss(criterion: Criterion, manifest: Manifest) -> Loss:
    if manifest.task not in _TASKS[criterion]:
        raise ReleaseError(
            f"a release cannot be judged by {criterion.value}: the target {manifest.target} is {manifest.task.value}",
            where="release.verdict",
            fix=f"leave out release.verdict.{criterion.value}",
        )
    test = manifest.evaluation.test
    match criterion:
        case Criterion.ACCURACY:
            return Loss(criterion, 1.0, 1 - test.get("accuracy", 0.9))
        case Criterion.BRIER:
            return Loss(criterion, 1.0, test.get("brier", 0.15))
        case Criterion.LOG_LOSS:
            return Loss(criterion, -float(np.log(_LEAST_PROBABILITY)), test.get("log_loss", 0.45))
        case _:
            return Loss(criterion, 10.0, 1.0)


def _losses(
    trial: Trial, rows: pl.DataFrame, wanted: Sequence[Loss], now: datetime, since: datetime
) -> list[NDArray[np.float64]]:
    """Each label-based loss as a share of the greatest that counts, NaN for what has no matured label. No label was
    stored before `since`, when the first of the predictions was made."""
    if not wanted:
        return []
    known = trial.labels.frame(since - CLOCKS).filter(pl.col("known_at") <= now)
    due = rows.with_row_index("row").filter(pl.col("time") <= now - trial.delay, ~pl.col("error"))
    part = due.join(
        known.select("value", "number", asked="prediction_id"), on="asked", how="inner", maintain_order="left"
    )
    losses = [np.full(len(rows), np.nan) for _ in wanted]
    if part.height:
        y, places = _truths(trial.manifest, part), part["row"].to_numpy()
        for loss, column in zip(wanted, losses, strict=True):
            column[places] = _values(loss.criterion, trial.manifest, part, y) / loss.greatest
    return losses


def _truths(manifest: Manifest, labelled: pl.DataFrame) -> NDArray[Any]:
    """The truths as the model knows them; a class may have come as its name or as a number."""
    texts, numbers = labelled["value"], labelled["number"]
    if not texts.null_count():
        values = texts
    elif not numbers.null_count():
        values = numbers
    else:
        values = texts.fill_null(numbers.cast(pl.String))
    return targets.encode(values.to_frame(manifest.target), manifest.target, manifest.classes, manifest.task)


def _values(criterion: Criterion, manifest: Manifest, rows: pl.DataFrame, y: NDArray[Any]) -> NDArray[np.float64]:
    score = rows["score"].to_numpy()
    match criterion:
        case Criterion.ACCURACY:
            named = np.asarray(manifest.classes, dtype=object)[y]
            return np.asarray(rows["prediction"].to_numpy() != named, dtype=np.float64)
        case Criterion.BRIER:
            return np.asarray((score - y) ** 2)
        case Criterion.LOG_LOSS:
            return np.asarray(-np.log(np.maximum(np.where(y == 1, score, 1 - score), _LEAST_PROBABILITY)))
        case _:
            expected = manifest.evaluation.test.get("mae") or float(np.abs(y).mean()) or 1.0
            return np.asarray(np.abs(score - y) / expected)
