"""What a project is doing, put together from the ledger, the runs, the logs and the looks; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import polars as pl

from everfit.errors import StorageError
from everfit.flow import alerting, ledger, monitoring, quality, retraining, schedule, verdicts
from everfit.flow.run import runs
from everfit.ports import ArtifactStore, LabelStore, PredictionLog, StateStore
from everfit.project.sections.root import Project
from everfit.records.codec import decode
from everfit.records.model import ModelVersion
from everfit.records.prediction import MIRRORED
from everfit.records.quality import QualityLook
from everfit.records.release import LedgerEvent, ReleaseState, Verdict
from everfit.records.run import RunRecord, Status
from everfit.records.schedule import Job, Slot, Turnout
from everfit.records.watch import Alarm, MonitorReport, Retraining
from everfit.rollout import approval, routing
from everfit.rollout import ledger as rules
from everfit.training import bundle

RUNS = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """A version that answers: its share of traffic 0..1, since when, by whom and why, and its metrics on test rows.

    `family` is empty and `problem` says why when its bundle cannot be read."""

    version: int
    share: float
    since: datetime
    by: str
    reason: str
    metric: str
    test: Mapping[str, float]
    family: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in one line; `seconds` is None while it runs, or if it was interrupted."""

    id: str
    pipeline: str
    status: Status
    started_at: datetime
    seconds: float | None
    steps: int
    cached: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Traffic:
    """Predictions since `since`: how many, by version, how many failed, and how many of those whose label is due
    (`matured`) have one (`labelled`)."""

    since: datetime
    predictions: int = 0
    errors: int = 0
    last: datetime | None = None
    versions: Mapping[int, int] = field(default_factory=dict)
    matured: int = 0
    labelled: int = 0
    labels: int = 0

    @property
    def coverage(self) -> float | None:
        """The share of matured predictions that have a label, 0..1; None when none has matured."""
        return self.labelled / self.matured if self.matured else None


@dataclass(frozen=True, slots=True)
class Timed:
    """A job that has times: `cron` in words, the next time, and what became of the last one, None before the first;
    `missed` are the times that came since and that no process was there for."""

    job: Job
    cron: str
    words: str
    next: datetime
    last: Slot | None
    missed: Slot | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it: `release` is the ledger folded, `runs` the last ones, newest first, `looks` and `alarms` how many
    there were; `looked` is the last look, `waiting` what a staged version waits for, `verdict` the newest that was
    kept; `quality` is that of the last window looked at and of the last run's table."""

    release: ReleaseState = field(default_factory=ReleaseState)
    champion: Standing | None = None
    challenger: Standing | None = None
    runs: tuple[RunLine, ...] = ()
    traffic: Traffic | None = None
    looks: int = 0
    looked: MonitorReport | None = None
    alarms: int = 0
    last_alarm: Alarm | None = None
    retraining: Retraining | None = None
    verdict: Verdict | None = None
    waiting: str = ""
    quality: tuple[QualityLook, ...] = ()
    schedule: tuple[Timed, ...] = ()


def overview(
    project: Project,
    state: StateStore,
    log: PredictionLog,
    labels: LabelStore,
    artifacts: ArtifactStore,
    now: datetime | None = None,
    rule: approval.Rule | None = None,
) -> Overview:
    """What stands in the stores. Predictions are counted over `monitoring.window`; labels are those known so far.

    Raises StorageError when the ledger was changed, or when a record cannot be read."""
    now = now or datetime.now(UTC)
    events = ledger.events(state)
    release = rules.fold(events)
    last = state.last(monitoring.LOOKS)
    alarms, retrainings = alerting.history(state), retraining.history(state)
    looked = decode(MonitorReport, last[1], where=f"look {last[0]}") if last else None
    standing = partial(_standing, events=events, release=release, versions=ledger.versions(state), artifacts=artifacts)
    return Overview(
        release=release,
        champion=standing(release.champion),
        challenger=standing(release.challenger),
        runs=tuple(_line(record) for record in reversed(runs(state)[-RUNS:])),
        traffic=_traffic(log, labels, now - project.monitoring.window, now, project.data.target.delay),
        looked=looked,
        looks=last[0] if last else 0,
        alarms=len(alarms),
        last_alarm=alarms[-1] if alarms else None,
        retraining=retrainings[-1] if retrainings else None,
        verdict=verdicts.last(state),
        waiting=approval.waiting(release, release.staged, rule) if release.staged and rule else "",
        quality=quality.newest(state, looked),
        schedule=_schedule(project, state, now),
    )


def _schedule(project: Project, state: StateStore, now: datetime) -> tuple[Timed, ...]:
    found = []
    for job, plan in schedule.plans(project.schedule).items():
        last = schedule.last_slot(state, job)
        ended = last[1] if last and last[1].turnout is not Turnout.WAITED else None
        missed = schedule.overdue(state, plan, now)
        found.append(Timed(job, plan.cron, str(plan), plan.next(now), ended, missed))
    return tuple(found)


def next_step(found: Overview) -> tuple[str, str]:
    """The command that would bring the project on, and why.

    >>> next_step(Overview())
    ('everfit run', 'nothing has been trained yet')
    """
    release, traffic = found.release, found.traffic
    if release.latest is None:
        failed = found.runs and found.runs[0].status is Status.FAILED
        return "everfit run", "the last run failed" if failed else "nothing has been trained yet"
    if release.staged is not None and release.challenger is None:
        return f"everfit approve {release.staged}", f"version {release.staged} waits for {found.waiting}"
    if release.champion is None:
        return "everfit release", f"version {release.latest} is registered and nothing is released yet"
    if release.challenger is not None:
        return "everfit release --look", f"version {release.challenger} is on trial"
    if release.latest > release.champion and release.latest not in (*release.rejected, *release.archived):
        return "everfit release", f"version {release.latest} is newer than the champion"
    if traffic is None or not traffic.predictions:
        return "everfit serve", "nothing has been predicted yet"
    return _watching(found)


def _watching(found: Overview) -> tuple[str, str]:
    look = found.looked
    acted = look is not None and found.retraining is not None and found.retraining.at >= look.at
    if look is not None and look.decision.retrain and not acted:
        return "everfit retrain", "the last look decided to retrain, and nobody did"
    if found.traffic and found.traffic.matured and not found.traffic.labelled:
        return "everfit labels FILE", "no label has arrived, so performance is unknown"
    return "everfit monitor", "it looks at what was predicted since the last look"


def _standing(
    version: int | None,
    events: Sequence[LedgerEvent],
    release: ReleaseState,
    versions: Mapping[int, ModelVersion],
    artifacts: ArtifactStore,
) -> Standing | None:
    if version is None:
        return None
    made, event = versions[version], _began(events, version)
    share = next(arm.weight for arm in routing.table(release).arms if arm.version == version)
    family, metric, problem = _bundled(made, artifacts)
    return Standing(version, share, event.at, event.by, event.reason, metric, made.metrics, family, problem)


def _began(events: Sequence[LedgerEvent], version: int) -> LedgerEvent:
    """The event that gave the version the part that it plays now: the last one that made it champion or challenger."""
    state, found = ReleaseState(), events[0]
    for event in events:
        before, state = state, rules.fold([event], state)
        if version in {state.champion, state.challenger} and _part(before, version) != _part(state, version):
            found = event
    return found


def _part(state: ReleaseState, version: int) -> str:
    return "champion" if version == state.champion else "challenger" if version == state.challenger else ""


def _bundled(made: ModelVersion, artifacts: ArtifactStore) -> tuple[str, str, str]:
    """Family, metric, and what is wrong with the bundle, if anything is."""
    folder = artifacts.get(made.bundle_hash)
    if folder is None:
        return "", "", "its bundle is missing or was changed on disk: release another version, or run again"
    try:
        manifest = bundle.open_bundle(folder)
    except StorageError as error:
        return "", "", error.what
    return manifest.family, manifest.profile.metric, ""


def _line(record: RunRecord) -> RunLine:
    took = (record.ended_at - record.started_at).total_seconds() if record.ended_at else None
    cached = sum(step.status is Status.CACHED for step in record.steps)
    return RunLine(
        record.id, record.pipeline, record.status, record.started_at, took, len(record.steps), cached, record.error
    )


def _traffic(log: PredictionLog, labels: LabelStore, since: datetime, now: datetime, delay: timedelta) -> Traffic:
    # Copies for a shadow are no predictions: nobody was answered.
    found = log.frame(["id", "time", "version", "error"], since).filter(~pl.col("id").str.ends_with(MIRRORED))
    answered, known = found.filter(pl.col("error").is_null()), labels.frame(since - monitoring.CLOCKS)
    due = answered.filter(pl.col("time") <= now - delay)["id"]
    versions = dict(found.group_by("version").len().sort("version").iter_rows())
    last: datetime | None = found.select(pl.col("time").max()).item()
    labelled, failed = int(due.is_in(known["prediction_id"].implode()).sum()), found.height - answered.height
    return Traffic(since, found.height, failed, last, versions, len(due), labelled, labels.count())
