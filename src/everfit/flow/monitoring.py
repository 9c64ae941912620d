"""One look at production: what the champion was asked and what became true, held against its profile.

Each prediction is tested for drift once and each label for performance once, in windows that do not overlap, so that
the false-alarm rate of a look is what it says, however often one looks.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import polars as pl

from everfit.flow import changes, drift, losses, performance, quality, retraining
from everfit.monitoring import alarms
from everfit.monitoring.budget import alpha_per_look
from everfit.monitoring.shapes import shape
from everfit.ports import LabelStore, PredictionLog, StateStore
from everfit.project.sections.root import Project
from everfit.records.codec import decode, encode
from everfit.records.model import Manifest
from everfit.records.quality import QualityLook
from everfit.records.release import ReleaseState
from everfit.records.watch import (
    Alarm,
    AlarmKind,
    DriftReport,
    ImpactEstimate,
    LossReport,
    MonitorReport,
    PerformanceReport,
    StreamAlarm,
)
from everfit.retraining import policy

LOOKS = "looks"
_DRAWN = 3  # columns with a picture in an alarm
_FIELDS = ("id", "time", "version", "error", "score", "prediction")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CLOCKS = timedelta(hours=1)  # what the clocks of those who predict and those who store labels may differ by


@dataclass(frozen=True, slots=True)
class Watched:
    """What a look reads: the ledger's state, the log, the labels, the history of looks."""

    project: Project
    release: ReleaseState
    log: PredictionLog
    labels: LabelStore
    state: StateStore


def look(
    watched: Watched, manifest: Manifest | None, now: datetime | None = None, forced: bool = False
) -> MonitorReport:
    """Looks, decides, and writes both down. `manifest` is the champion's, None before the first release; `forced`
    asks for a retraining whatever is found."""
    now = now or datetime.now(UTC)
    answered = _answered(watched, manifest, now)
    recent = answered.filter(pl.col("time") >= now - watched.project.monitoring.window).height
    before = _marks(watched.state)
    found = _Found(None, None, None, ()) if manifest is None else _find(watched, manifest, answered, before, now)
    decision = policy.decide(
        watched.project.retraining,
        watched.project.monitoring.drift,
        now,
        _known(watched, manifest, found, recent, now),
        forced,
    )
    report = MonitorReport(
        now,
        recent,
        found.drift,
        found.performance,
        found.impact,
        found.alarms,
        decision,
        labels=found.labels if found.performance else before.labels,
        tested=found.drift.until if found.drift else before.tested,
        judged=now if found.performance else before.judged,
        streams=found.streams,
        version=watched.release.champion,
        quality=found.quality,
        losses=found.losses,
    )
    watched.state.append(LOOKS, encode(report))
    return report


def _known(watched: Watched, manifest: Manifest | None, found: _Found, recent: int, now: datetime) -> policy.Known:
    """What the decision is made of, beside what the look found."""
    since, settings = watched.release.champion_since, watched.project.monitoring
    past, drifting = retraining.history(watched.state), _drifting_since(watched.state, found, now)
    span = min(settings.window, max(now - (since or now), timedelta(hours=1)))
    asks_data = "data" in watched.project.retraining.on and since is not None
    return policy.Known(
        champion_since=since,
        begun=tuple(one.at for one in past if one.retrained),
        running=retraining.under_way(watched.state),
        canary=watched.release.challenger,
        performance=found.performance,
        losses=found.losses,
        drift=found.drift,
        impact=found.impact,
        labels=_known_since(watched.labels, since) if asks_data and since else 0,
        per_day=recent / (span / timedelta(days=1)),
        drifting_since=drifting,
        label_delay=watched.project.data.target.delay,
        judged=_judged(watched, found, drifting),
        change=changes.change(watched.project, watched.release, watched.labels, past, found.losses),
        since=retraining.left_out(past),
        dated=changes.dated(manifest, watched.project, past),
    )


def _known_since(labels: LabelStore, since: datetime) -> int:
    """How many labels of predictions were learned after that."""
    return labels.frame(since - CLOCKS).filter(pl.col("known_at") > since).height


def _drifting_since(state: StateStore, found: _Found, now: datetime) -> datetime | None:
    """When the first of the looks was that have found drift without one between them that found none."""
    if found.drift is None or not _is_drift(found.drift):
        return None
    since = now
    for look in reversed(looks(state)):
        if look.drift is not None and not _is_drift(look.drift):
            break
        since = look.at if look.drift is not None else since
    return since


def _is_drift(report: DriftReport) -> bool:
    return report.is_drift or bool(report.score and report.score.drifted)


def _judged(watched: Watched, found: _Found, drifting: datetime | None) -> PerformanceReport | None:
    """The last performance on labels of which all can be of predictions made since the drift."""
    if drifting is None:
        return None
    if found.performance is not None:
        return found.performance
    ripe = drifting + watched.project.data.target.delay
    return next((one.performance for one in reversed(looks(watched.state)) if one.performance and one.at >= ripe), None)


def looks(state: StateStore, most: int | None = None) -> list[MonitorReport]:
    """All looks so far, or the newest `most`, oldest first."""
    last = state.last(LOOKS) if most is not None else None
    after = max(last[0] - (most or 0), 0) if last is not None else 0
    return [decode(MonitorReport, text, where=f"look {number}") for number, text in state.read(LOOKS, after)]


def _answered(watched: Watched, manifest: Manifest | None, now: datetime) -> pl.DataFrame:
    """What the champion answered since it became champion, and which is in the longest window now or was there when
    its label came due."""
    champion = watched.release.champion
    return _read(watched, manifest, _reach(watched, now), now).filter(pl.col("version") == (champion or 0))


def _reach(watched: Watched, now: datetime) -> datetime:
    """Since when the champion's answers count."""
    longest = watched.project.monitoring.window + watched.project.data.target.delay
    return max(now - longest, watched.release.champion_since or _EPOCH)


def _newest(labels: pl.DataFrame) -> int:
    """The place of the label that came last."""
    return int(labels["place"].max() or 0) if labels.height else 0  # type: ignore[arg-type]  # places are whole numbers


def _asked(watched: Watched, manifest: Manifest, now: datetime) -> pl.DataFrame:
    """What any version was asked in the window: who asks does not depend on who answers. Only seasons look back so."""
    if watched.project.monitoring.drift.seasonal is None:
        return pl.DataFrame()
    return _read(watched, manifest, now - watched.project.monitoring.window, now)


def _read(watched: Watched, manifest: Manifest | None, since: datetime, until: datetime) -> pl.DataFrame:
    features, classes = (drift.kinds(manifest), performance.classes(manifest)) if manifest else ({}, ())
    found = watched.log.frame(_FIELDS, since, until, features, classes=classes)
    return found.filter(pl.col("error").is_null()).sort("time", maintain_order=True)


def _pictured(alarm: Alarm, manifest: Manifest, window: drift.Window, personal: Collection[str]) -> Alarm:
    """The alarm with the pictures of what moved; personal columns are not drawn."""
    if alarm.kind is AlarmKind.PREDICTION_DRIFT:
        found = [shape(manifest.profile.score, window.score)]
    elif alarm.kind is AlarmKind.DRIFT:
        known = {column.name: column for column in manifest.profile.columns if column.name not in personal}
        moved = [name for name in alarm.evidence if name in known][:_DRAWN]
        found = [shape(known[name], window.columns[name]) for name in moved]
    else:
        return alarm
    return replace(alarm, shapes=tuple(one for one in found if one is not None))


@dataclass(frozen=True, slots=True)
class _Marks:
    """Up to where earlier looks have come."""

    tested: datetime = _EPOCH
    judged: datetime = _EPOCH
    labels: int = 0


def _marks(state: StateStore) -> _Marks:
    """From the last look alone, for each hands on what the ones before have told."""
    last = state.last(LOOKS)
    if last is None:
        return _Marks()
    found = decode(MonitorReport, last[1], where=f"look {last[0]}")
    return _Marks(found.tested or _EPOCH, found.judged or _EPOCH, found.labels)


@dataclass(frozen=True, slots=True)
class _Found:
    drift: DriftReport | None
    impact: ImpactEstimate | None
    performance: PerformanceReport | None
    alarms: tuple[Alarm, ...]
    labels: int = 0
    streams: tuple[StreamAlarm, ...] = ()
    quality: QualityLook | None = None
    losses: LossReport | None = None


def _find(watched: Watched, manifest: Manifest, answered: pl.DataFrame, before: _Marks, now: datetime) -> _Found:
    settings = watched.project.monitoring
    alpha = alpha_per_look(watched.project.looking)
    untested = max(before.tested, now - settings.window)
    fresh = answered.filter(pl.col("time") >= untested)
    seen = drift.Seen(fresh, answered.filter(pl.col("time") < untested), _asked(watched, manifest, now))
    window = drift.window(fresh, manifest.profile.columns)
    drifted = drift.find(settings, manifest, seen, window, alpha, now)
    impact = checked = None
    if drifted is not None:
        since = max(untested, watched.release.champion_since or untested)
        asked = quality.Asked(watched.release.champion or 0, since, drifted.until)
        checked = quality.window(watched.project, manifest, watched.log, asked, alpha)
        impact = performance.foretold(manifest, fresh)
    known = watched.labels.frame(_reach(watched, now) - CLOCKS)
    judged = performance.judge(
        watched.project, manifest, answered, performance.Fresh(known, before.judged, before.labels, now), alpha
    )
    whose = losses.Watched(
        watched.project, manifest, watched.release.champion or 0, watched.release.champion_since or _EPOCH
    )
    one_by_one = losses.watch(watched.state, whose, answered, known, now, alpha)
    streams = drift.stream(watched.state, settings.drift, manifest, answered, watched.release.champion or 0)
    raised = alarms.alarms(
        now,
        watched.release.champion or 0,
        manifest.profile,
        window.columns,
        window.score,
        drift=drifted,
        performance=judged,
        impact=impact,
        quality=checked,
        streams=streams,
        losses=one_by_one,
    )
    raised = tuple(_pictured(one, manifest, window, watched.project.data.personal) for one in raised)
    newest = max(before.labels, _newest(known)) if judged else 0
    return _Found(drifted, impact, judged, raised, newest, streams, checked, one_by_one)
