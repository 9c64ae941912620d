"""From findings to alarms: a message that a person can act on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from everfit.monitoring.alarm_keys import key_of
from everfit.monitoring.breaks import RANGE, UNSEEN
from everfit.monitoring.columns import Column, Floats
from everfit.monitoring.drift import MISSING
from everfit.monitoring.phrases import NAMED, first, plural, share
from everfit.monitoring.quality_alarms import of_quality
from everfit.monitoring.wording import chance, moved, scores
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.quality import QualityLook
from everfit.records.watch import (
    Alarm,
    AlarmKind,
    ColumnDrift,
    DriftReport,
    ImpactEstimate,
    LossReport,
    PerformanceReport,
    StreamAlarm,
)


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


def _performance(at: datetime, version: int, found: PerformanceReport, drift: DriftReport | None) -> Alarm | None:
    if not found.degraded or found.value is None or found.low is None or found.high is None:
        return None
    return Alarm(
        key=key_of(AlarmKind.PERFORMANCE, version, [found.metric]),
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
        key=key_of(AlarmKind.PERFORMANCE, version, [f"loss of {found.kind}"]),
        kind=AlarmKind.PERFORMANCE,
        at=at,
        message=f"the mean loss ({found.kind.words}) of version {version} has risen, seen label by label: "
        f"{found.recent:.4g} on the newest {found.labels:,} labels, {found.expected:.4g} in the test; "
        f"such an alarm is false once in {found.run_length:,.0f} labels at most",
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
        key=key_of(AlarmKind.DRIFT, version, [found.column for found in worst]),
        kind=AlarmKind.DRIFT,
        at=at,
        message=f"{len(worst)} column{plural(worst)} drifted in {report.rows:,} predictions: {first(clauses)}{cost}",
        evidence={found.column: found.effect for found in worst},
        false_alarm_rate=report.alpha,
        cause=_why_moved(worst),
    )


def _streams(at: datetime, version: int, found: Sequence[StreamAlarm]) -> Alarm:
    names = [one.column for one in found]
    told = first([f"{one.column} at row {one.row + 1:,} of the newest" for one in found])
    return Alarm(
        key=key_of(AlarmKind.DRIFT, version, [f"stream of {name}" for name in names]),
        kind=AlarmKind.DRIFT,
        at=at,
        message=f"{len(names)} column{plural(names)} drifted, seen row by row: {told}",
        evidence={one.column: one.row for one in found},
    )


def _joint(at: datetime, version: int, report: DriftReport) -> Alarm | None:
    """Only where no column alone says it: columns that no longer go together as they did."""
    found = report.joint
    if found is None or not found.drifted or report.is_drift:
        return None
    return Alarm(
        key=key_of(AlarmKind.DRIFT, version, [found.column]),
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
        key=key_of(AlarmKind.PREDICTION_DRIFT, version, [found.column]),
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
