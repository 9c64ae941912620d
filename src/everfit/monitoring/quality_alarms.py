"""The alarm of failed checks, and when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from everfit.monitoring.alarm_keys import key_of, split
from everfit.monitoring.phrases import first, plural, share
from everfit.records.quality import FailedCheck, Origin, QualityLook
from everfit.records.watch import Alarm, AlarmKind, AlarmState


def of_quality(look: QualityLook) -> Alarm | None:
    """The alarm of what a window or a run showed; None where no failed check is news."""
    if not look.news:
        return None
    names = {Origin.RUN: "the table of a run", Origin.PREDICTIONS: "predictions"}
    return Alarm(
        key=key_of(AlarmKind.QUALITY, _source(look), [_named(one) for one in look.news]),
        kind=AlarmKind.QUALITY,
        at=look.at,
        message=f"{len(look.news)} check{plural(look.news)} failed on {look.rows:,} rows of {names[look.origin]}: "
        f"{first([_broken(one) for one in look.news])}",
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
        subject, causes = split(alarm.key)
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
