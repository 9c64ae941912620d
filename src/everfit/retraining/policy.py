"""Whether to retrain: a pure function of what is known, with every reason for and against."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from everfit.project.quantities import format_duration
from everfit.project.sections.monitoring import Drift, Retraining
from everfit.records.watch import Decision, DriftReport, ImpactEstimate, PerformanceReport, Trigger


class _Finding(NamedTuple):
    trigger: Trigger
    holds: bool
    reason: str


def decide(
    retraining: Retraining,
    drift_settings: Drift,
    now: datetime,
    *,
    last_retraining: datetime | None = None,
    champion_since: datetime | None = None,
    performance: PerformanceReport | None = None,
    drift: DriftReport | None = None,
    impact: ImpactEstimate | None = None,
    forced: bool = False,
    canary: int | None = None,
) -> Decision:
    """Retrain when something asks for it, the project allows that trigger and the cooldown is over.

    Performance, drift and schedule are looked at in this order and the first one that holds is the trigger. Drift of
    columns or of the score alone is no reason: the inputs of a healthy model move all the time. It needs an estimated
    loss of at least `drift_settings.impact`, or a fallen performance. `forced` (by hand) asks regardless and ignores
    the cooldown. Without a champion (`champion_since` is None) nothing is in production to be replaced: never.
    Nor, unless `forced`, while the version `canary` is on trial: it may be the answer, and two are not tried at once.
    `last_retraining` is when the last one began, whatever came of it, remembered by the caller over restarts.
    """
    if champion_since is None:
        return Decision(now, False, None, ("nothing is released yet, so there is no model to replace",))
    cooling = _cooling(retraining.cooldown, last_retraining, now)
    findings = (
        _by_performance(performance),
        _by_drift(drift, impact, performance, drift_settings.impact),
        _by_schedule(retraining.schedule, champion_since, now),
    )
    reasons = _reasons(findings, retraining.on)
    if forced:
        ignored = f"; the cooldown is ignored ({cooling})" if cooling else ""
        return Decision(now, True, Trigger.MANUAL, (f"asked for by hand{ignored}", *reasons))
    trigger = next((f.trigger for f in findings if f.holds and f.trigger in retraining.on), None)
    if canary is not None:
        waiting = f"version {canary} is on trial as a canary: its verdict comes first"
        return Decision(now, False, trigger, (*reasons, waiting))
    if cooling:
        return Decision(now, False, trigger, (*reasons, cooling))
    return Decision(now, trigger is not None, trigger, reasons)


def _reasons(findings: Iterable[_Finding], allowed: Iterable[str]) -> tuple[str, ...]:
    """One sentence for each finding; those that hold come first, and one that may not act says so."""
    chosen = set(allowed)
    sentences = [
        (not f.holds, f"{f.reason}; but `{f.trigger}` is not in retraining.on")
        if f.holds and f.trigger not in chosen
        else (not f.holds, f.reason)
        for f in findings
        if f.holds or f.trigger in chosen
    ]
    return tuple(sentence for _, sentence in sorted(sentences, key=lambda pair: pair[0]))


def _cooling(cooldown: timedelta, last: datetime | None, now: datetime) -> str | None:
    if last is None or now - last >= cooldown:
        return None
    return (
        f"the last retraining was {_age(now - last)} ago and the cooldown is {format_duration(cooldown)}: "
        f"not before {last + cooldown:%Y-%m-%d %H:%M %Z}".rstrip()
    )


def _by_performance(found: PerformanceReport | None) -> _Finding:
    if found is None or found.value is None:
        return _Finding(Trigger.PERFORMANCE, False, "performance is unknown: no labels have come yet")
    figures = (
        f"{found.metric} is {found.value:.4g} on {found.labels:,} labels, against {found.expected:.4g} in the test"
    )
    if found.degraded:
        return _Finding(Trigger.PERFORMANCE, True, f"performance has fallen: {figures}, worse than chance explains")
    if found.low is None:
        return _Finding(Trigger.PERFORMANCE, False, f"too few labels to judge performance: {figures}")
    return _Finding(Trigger.PERFORMANCE, False, f"performance holds: {figures}, within the tolerance and chance")


def _by_drift(
    report: DriftReport | None,
    impact: ImpactEstimate | None,
    performance: PerformanceReport | None,
    least: float,
) -> _Finding:
    if report is None:
        return _Finding(Trigger.DRIFT, False, "drift is unknown: too few predictions to compare")
    what = _what_drifted(report)
    if not what:
        return _Finding(Trigger.DRIFT, False, f"nothing drifted in {report.rows:,} predictions")
    if performance is not None and performance.degraded:
        return _Finding(Trigger.DRIFT, True, f"{what} drifted, and labels confirm that performance has fallen")
    if impact is None:
        return _Finding(
            Trigger.DRIFT, False, f"{what} drifted, but nothing says that it costs anything: no estimate, no labels"
        )
    cost = f"the estimated loss of {impact.metric} is {100 * impact.drop:.2f} points"
    bar = f"{100 * least:.2f} points"
    if impact.drop >= least:
        return _Finding(Trigger.DRIFT, True, f"{what} drifted and {cost}, at least the {bar} for which drift retrains")
    return _Finding(
        Trigger.DRIFT, False, f"{what} drifted, but {cost}, below {bar}: drift alone is no reason to retrain"
    )


def _what_drifted(report: DriftReport) -> str:
    names = sorted({c.column for c in report.columns if c.drifted})
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    score = "the score" if report.score is not None and report.score.drifted else ""
    return " and ".join(part for part in (shown, score) if part)


def _by_schedule(greatest: timedelta, since: datetime, now: datetime) -> _Finding:
    figures = f"the champion is {_age(now - since)} old and the schedule is {format_duration(greatest)}"
    return _Finding(Trigger.SCHEDULE, now - since >= greatest, figures)


def _age(span: timedelta) -> str:
    """The span in its largest sensible unit.

    >>> _age(timedelta(hours=50)), _age(timedelta(minutes=5)), _age(timedelta(seconds=3))
    ('2.1d', '5m', '3s')
    """
    seconds = span.total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{round(seconds / length, 1):g}{unit}"
    return f"{seconds:.0f}s"
