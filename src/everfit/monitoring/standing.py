"""Alarms that stand: what is news beside them and when they are over, so that none is sent twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from urllib.parse import unquote

from everfit.monitoring.alarm_keys import split
from everfit.monitoring.quality_alarms import over_in
from everfit.records.watch import Alarm, AlarmKind, AlarmState, MonitorReport


def over(standing: Iterable[Alarm], report: MonitorReport) -> list[Alarm]:
    """The alarms not resolved yet that a look has found to be over: what they were about was tested in it, and nothing
    was found there. What an older version's answers were about is over with the version."""
    standing = list(standing)
    found: list[Alarm] = over_in(standing, report.quality) if report.quality else []
    for alarm in standing:
        if alarm.state is AlarmState.RESOLVED or alarm.at >= report.at or alarm in found:
            continue
        subject, causes = split(alarm.key)
        calm = _calm(alarm.kind, {unquote(cause) for cause in causes}, report)
        replaced = _of_version(alarm) and not subject.endswith(f":{report.version}") and report.version
        if calm or replaced:
            found.append(alarm)
    return found


def _of_version(alarm: Alarm) -> bool:
    if alarm.kind is AlarmKind.QUALITY:
        return split(alarm.key)[0] != f"{AlarmKind.QUALITY}:run"
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

    >>> from datetime import UTC, datetime
    >>> alarm = Alarm("drift:1:age", AlarmKind.DRIFT, datetime(2026, 1, 1, tzinfo=UTC), "age moved")
    >>> unsent([alarm], ["drift:1:age,tenure"]), len(unsent([alarm], ["drift:1:tenure"]))
    ((), 1)
    """
    told: dict[str, set[str]] = {}
    for key in open_keys:
        subject, causes = split(key)
        told.setdefault(subject, set()).update(causes)
    return tuple(alarm for alarm in raised if not _covered(alarm.key, told))


def _covered(key: str, told: Mapping[str, set[str]]) -> bool:
    subject, causes = split(key)
    return causes <= told.get(subject, set())
