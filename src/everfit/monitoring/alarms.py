"""From findings to alarms: a message that a person can act on, and no alarm sent twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from everfit.monitoring.breaks import RANGE, UNSEEN
from everfit.monitoring.columns import Column, Floats
from everfit.monitoring.drift import MISSING
from everfit.monitoring.wording import chance, moved, scores, share
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.quality import FailedCheck, Origin, QualityLook
from everfit.records.watch import (
    Alarm,
    AlarmKind,
    AlarmState,
    ColumnDrift,
    DriftReport,
    ImpactEstimate,
    LossReport,
    MonitorReport,
    PerformanceReport,
    StreamAlarm,
)

NAMED = 3


def alarms(
    at: datetime,
    version: int,
    profile: Profile,
    columns: Mapping[str, Column],
    score: Floats | None = None,
    *,
    drift: DriftReport | None = None,
    performance: PerformanceReport | None = None,
    impact: ImpactEstimate | None = None,
    quality: QualityLook | None = None,
    streams: Sequence[StreamAlarm] = (),
    losses: LossReport | None = None,
) -> tuple[Alarm, ...]:
    """What a look found that a person should know, the worst kind first.

    `columns` and `score` are the current rows that `drift` was found in, for the figures in the messages. `version` is
    the model watched: a new one starts with a clean slate. A data-quality alarm needs a failed check that is news.
    """
    found = (
        _performance(at, version, performance, drift) if performance else None,
        _losses(at, version, losses, drift) if losses else None,
        of_quality(quality) if quality else None,
        _drift(at, version, drift, profile, columns, impact) if drift else None,
        _joint(at, version, drift) if drift else None,
        _prediction(at, version, drift, profile, score) if drift else None,
        _streams(at, version, streams) if streams else None,
    )
    return tuple(alarm for alarm in found if alarm is not None)


def over(standing: Iterable[Alarm], report: MonitorReport) -> list[Alarm]:
    """The alarms not resolved yet that a look has found to be over: what they were about was tested in it, and nothing
    was found there. What an older version's answers were about is over with the version."""
    standing = list(standing)
    found: list[Alarm] = over_in(standing, report.quality) if report.quality else []
    for alarm in standing:
        if alarm.state is AlarmState.RESOLVED or alarm.at >= report.at or alarm in found:
            continue
        subject, causes = _split(alarm.key)
        calm = _calm(alarm.kind, {unquote(cause) for cause in causes}, report)
        replaced = _of_version(alarm) and not subject.endswith(f":{report.version}") and report.version
        if calm or replaced:
            found.append(alarm)
    return found


def _of_version(alarm: Alarm) -> bool:
    if alarm.kind is AlarmKind.QUALITY:
        return _split(alarm.key)[0] != f"{AlarmKind.QUALITY}:run"
    return alarm.kind in (AlarmKind.DRIFT, AlarmKind.PREDICTION_DRIFT, AlarmKind.PERFORMANCE)


def _calm(kind: AlarmKind, causes: set[str], report: MonitorReport) -> bool:
    """Whether the look tested what the alarm was about and found nothing."""
    if kind is AlarmKind.PERFORMANCE:
        return report.performance is not None and report.performance.low is not None and not report.performance.degraded
    if report.drift is None:
        return False
    if kind is AlarmKind.PREDICTION_DRIFT:
        return report.drift.score is not None and not report.drift.score.drifted
    if kind is not AlarmKind.DRIFT:
        return False
    every = [*report.drift.columns, *([report.drift.joint] if report.drift.joint else [])]
    tested, drifted = {one.column for one in every}, {one.column for one in every if one.drifted}
    return causes <= tested and not causes & drifted


def unsent(raised: Iterable[Alarm], open_keys: Collection[str]) -> tuple[Alarm, ...]:
    """The alarms with at least one cause that no alarm in `open_keys` (sent before, and not over yet) has told.

    An alarm of three columns is news after one of two of them, and one of two is none after one of three.

    >>> from datetime import timezone
    >>> alarm = Alarm("drift:1:age", AlarmKind.DRIFT, datetime(2026, 1, 1, tzinfo=timezone.utc), "age moved")
    >>> unsent([alarm], ["drift:1:age,tenure"]), len(unsent([alarm], ["drift:1:tenure"]))
    ((), 1)
    """
    told: dict[str, set[str]] = {}
    for key in open_keys:
        subject, causes = _split(key)
        told.setdefault(subject, set()).update(causes)
    return tuple(alarm for alarm in raised if not _covered(alarm.key, told))


def _key(kind: AlarmKind, version: int | str, causes: Iterable[str]) -> str:
    return f"{kind}:{version}:" + ",".join(sorted({quote(cause, safe=" ") for cause in causes}))


def _split(key: str) -> tuple[str, set[str]]:
    subject, _, causes = key.rpartition(":")
    return subject, set(causes.split(","))


def _covered(key: str, told: Mapping[str, set[str]]) -> bool:
    subject, causes = _split(key)
    return causes <= told.get(subject, set())


def _performance(at: datetime, version: int, found: PerformanceReport, drift: DriftReport | None) -> Alarm | None:
    if not found.degraded or found.value is None or found.low is None or found.high is None:
        return None
    return Alarm(
        key=_key(AlarmKind.PERFORMANCE, version, [found.metric]),
        kind=AlarmKind.PERFORMANCE,
        at=at,
        message=f"{found.metric} of version {version} is {found.value:.4g} ({found.low:.4g} to {found.high:.4g}) on "
        f"{found.labels:,} labelled predictions; it was {found.expected:.4g} in the test "
        f"({share(found.coverage)} of the predictions due have a label)",
        evidence={
            "metric": found.metric,
            "value": found.value,
            "expected": found.expected,
            "labels": found.labels,
            "coverage": found.coverage,
        },
        false_alarm_rate=found.alpha,
        cause=_why_worse(drift),
    )


def _losses(at: datetime, version: int, found: LossReport, drift: DriftReport | None) -> Alarm | None:
    if not found.degraded or found.recent is None:
        return None
    return Alarm(
        key=_key(AlarmKind.PERFORMANCE, version, [f"loss of {found.kind}"]),
        kind=AlarmKind.PERFORMANCE,
        at=at,
        message=f"the mean loss ({found.kind}) of version {version} has risen, seen label by label: {found.recent:.4g} "
        f"on the newest {found.labels:,} labels, {found.expected:.4g} in the test; such an alarm is false once in "
        f"{found.run_length:,.0f} labels at most",
        evidence={
            "recent": found.recent,
            "expected": found.expected,
            "labels": found.labels,
            "evidence": found.evidence,
        },
        cause=_why_worse(drift),
    )


def _why_worse(drift: DriftReport | None) -> str | None:
    if drift is None:
        return None
    moved = sorted({one.column for one in drift.columns if one.drifted})
    if moved:
        return f"Likely cause: the inputs moved ({', '.join(moved[:NAMED])}), to where the model knows less."
    return "Likely cause: the inputs look as in training, so the target's relation to them has changed."


def _why_moved(worst: Sequence[ColumnDrift]) -> str:
    """The likeliest story of the first column, by how it moved."""
    first = worst[0]
    if first.test == MISSING:
        return f"Likely cause: what delivers {first.column} fails or has begun to; look there first."
    if first.test in (RANGE, UNSEEN):
        return f"Likely cause: {first.column} has another unit, code or source than in training."
    if len(worst) > NAMED:
        return "Likely cause: others are asking than in training, for many columns moved at once."
    if first.influence is not None and first.influence < 0.05:
        return f"Likely harmless: {first.column} moved, but hardly moved the score."
    return f"Likely cause: {first.column} is measured otherwise, or others are asking."


def of_quality(look: QualityLook) -> Alarm | None:
    """The alarm of what a window or a run showed; None where no failed check is news."""
    if not look.news:
        return None
    names = {Origin.RUN: "the table of a run", Origin.PREDICTIONS: "predictions"}
    return Alarm(
        key=_key(AlarmKind.QUALITY, _source(look), [_named(one) for one in look.news]),
        kind=AlarmKind.QUALITY,
        at=look.at,
        message=f"{len(look.news)} check{_s(look.news)} failed on {look.rows:,} rows of {names[look.origin]}: "
        f"{_first([_broken(one) for one in look.news])}",
        evidence={"rows": look.rows, "score": look.score, "failed": len(look.news), "about": look.about},
        false_alarm_rate=look.alpha,
    )


def over_in(standing: Iterable[Alarm], look: QualityLook) -> list[Alarm]:
    """The data-quality alarms, about the same source and not resolved yet, whose checks passed in a later look, or
    failed no more than is usual."""
    about = f"{AlarmKind.QUALITY}:{_source(look)}"
    wrong = {_named(one) for one in look.news}
    found = []
    for alarm in standing:
        subject, causes = _split(alarm.key)
        if alarm.state is not AlarmState.RESOLVED and alarm.at < look.at and subject == about:
            found += [] if wrong & {unquote(cause) for cause in causes} else [alarm]
    return found


def _source(look: QualityLook) -> str:
    return "run" if look.origin is Origin.RUN else look.about


def _named(one: FailedCheck) -> str:
    return f"{one.column or ''} {one.check}"


def _broken(one: FailedCheck) -> str:
    then = "" if one.before is None else f" ({share(one.before)} of rows in training)"
    return f"{one.check}{f' of {one.column}' if one.column else ''}: {one.observed}, expected {one.expected}{then}"


def _drift(
    at: datetime,
    version: int,
    report: DriftReport,
    profile: Profile,
    columns: Mapping[str, Column],
    impact: ImpactEstimate | None,
) -> Alarm | None:
    worst = _worst(report.columns)
    if not worst:
        return None
    known = {column.name: column for column in profile.columns}
    clauses = [_clause(found, known[found.column], columns[found.column]) for found in worst]
    cost = f". Estimated {impact.metric}: {impact.reference:.3g}, now {impact.current:.3g}" if impact else ""
    return Alarm(
        key=_key(AlarmKind.DRIFT, version, [found.column for found in worst]),
        kind=AlarmKind.DRIFT,
        at=at,
        message=f"{len(worst)} column{_s(worst)} drifted in {report.rows:,} predictions: {_first(clauses)}{cost}",
        evidence={found.column: found.effect for found in worst},
        false_alarm_rate=report.alpha,
        cause=_why_moved(worst),
    )


def _streams(at: datetime, version: int, found: Sequence[StreamAlarm]) -> Alarm:
    names = [one.column for one in found]
    told = _first([f"{one.column} at row {one.row + 1:,} of the newest" for one in found])
    return Alarm(
        key=_key(AlarmKind.DRIFT, version, [f"stream of {name}" for name in names]),
        kind=AlarmKind.DRIFT,
        at=at,
        message=f"{len(names)} column{_s(names)} drifted, seen row by row: {told}",
        evidence={one.column: one.row for one in found},
    )


def _joint(at: datetime, version: int, report: DriftReport) -> Alarm | None:
    """Only where no column alone says it: columns that no longer go together as they did."""
    found = report.joint
    if found is None or not found.drifted or report.is_drift:
        return None
    return Alarm(
        key=_key(AlarmKind.DRIFT, version, [found.column]),
        kind=AlarmKind.DRIFT,
        at=at,
        message=f"the columns no longer go together as before in {report.rows:,} predictions, though none has moved by "
        f"itself: a classifier tells {share(found.effect)} of rows from earlier ones, {chance(found.p_value)}",
        evidence={"effect": found.effect, "p_value": found.p_value, "roc_auc": found.statistic},
        false_alarm_rate=report.alpha,
    )


def _prediction(
    at: datetime, version: int, report: DriftReport, profile: Profile, score: Floats | None
) -> Alarm | None:
    found = report.score
    if found is None or not found.drifted:
        return None
    figures = "" if score is None else scores(profile.score, score)
    return Alarm(
        key=_key(AlarmKind.PREDICTION_DRIFT, version, [found.column]),
        kind=AlarmKind.PREDICTION_DRIFT,
        at=at,
        message=f"the score of version {version} moved: {share(found.effect)} of {report.rows:,} predictions, "
        f"{chance(found.adjusted)}{figures}",
        evidence={"effect": found.effect, "p_value": found.p_value},
        false_alarm_rate=report.alpha,
    )


def _worst(found: Iterable[ColumnDrift]) -> list[ColumnDrift]:
    """The test with the greatest effect of each drifted column, a move rather than values outside training's; first
    the columns that moved the score most."""
    best: dict[str, ColumnDrift] = {}
    drifted = (test for test in found if test.drifted)
    for test in sorted(drifted, key=lambda test: (test.test in (RANGE, UNSEEN), -test.effect, test.adjusted)):
        best.setdefault(test.column, test)
    return sorted(best.values(), key=lambda test: (-round(test.influence or 0.0, 2), -test.effect))


def _clause(found: ColumnDrift, known: ColumnProfile, values: Column) -> str:
    told = moved(found, known, values)
    if found.influence is None or found.influence < 0.05:
        return told
    return f"{told}; that alone moved the mean score by {found.influence:.2g} of its standard deviations"


def _first(clauses: list[str]) -> str:
    rest = len(clauses) - NAMED
    return "; ".join(clauses[:NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def _s(things: Sequence[Any]) -> str:
    return "" if len(things) == 1 else "s"
