"""Whether to retrain: a pure function of what is known, with every reason for and against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from everfit.project.quantities import format_duration
from everfit.project.sections.monitoring import Cost, Drift, Retraining
from everfit.records.watch import Decision, DriftReport, ImpactEstimate, LossReport, PerformanceReport, Trigger

_MONTH = timedelta(days=30)
# What the reasons of a retraining for fallen performance say.
FALLEN = ("performance has fallen", "performance is not restored yet")


class _Finding(NamedTuple):
    trigger: Trigger
    holds: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """What a decision is made of. `champion_since` is None before the first release. `begun` holds when earlier
    retrainings began, oldest first, whatever came of them; `running` is whether a training is under way; `labels`
    counts those that came since the champion was released; `per_day` is how many predictions are made.
    `drifting_since` is when the first of the looks was that have found drift without a break, and `label_delay` how
    long a truth takes to be known. `short_of` is the test metric of an earlier champion that this one, made when
    performance had fallen, has not reached again; None where it has. `losses` are those on labels one by one."""

    champion_since: datetime | None = None
    begun: tuple[datetime, ...] = ()
    running: bool = False
    canary: int | None = None
    performance: PerformanceReport | None = None
    drift: DriftReport | None = None
    impact: ImpactEstimate | None = None
    labels: int = 0
    per_day: float = 0.0
    drifting_since: datetime | None = None
    label_delay: timedelta = timedelta(0)
    short_of: float | None = None
    losses: LossReport | None = None


def decide(
    retraining: Retraining, drift_settings: Drift, now: datetime, known: Known, forced: bool = False
) -> Decision:
    """Retrain when something asks for it, the project allows that trigger and nothing stands against it.

    Performance, drift, schedule and new data are looked at in this order and the first one that holds is the trigger.
    Drift of columns or of the score alone is no reason: the inputs of a healthy model move all the time. It needs an
    estimated loss of at least `drift_settings.impact`, or a fallen performance. Against it stand the cooldown, the
    budget, a training that is under way, a version on trial (it may be the answer, and two are not tried at once), and
    the price: where `retraining.cost` is given, the loss to expect from keeping the model must exceed it.

    `forced` (by hand) asks regardless, and ignores all of these but a training under way. Without a champion nothing is
    in production to be replaced: never.
    """
    if known.champion_since is None:
        return Decision(now, False, None, ("nothing is released yet, so there is no model to replace",))
    findings = (
        _by_performance(known.performance, known.short_of, known.losses),
        _by_drift(known.drift, known.impact, known.performance, drift_settings.impact),
        _by_schedule(retraining.schedule, known.champion_since, now),
        _by_data(retraining.labels, known.labels),
    )
    reasons = _reasons(findings, retraining.on)
    if known.running:
        return Decision(now, False, None, (*reasons, "a training is under way: it ends first"))
    against = _against(retraining, known, now)
    if forced:
        ignored = f"; this is ignored: {', '.join(against)}" if against else ""
        return Decision(now, True, Trigger.MANUAL, (f"asked for by hand{ignored}", *reasons))
    trigger = next((f.trigger for f in findings if f.holds and f.trigger in retraining.on), None)
    if trigger in (Trigger.PERFORMANCE, Trigger.DRIFT) and known.short_of is None:
        against += _too_dear(retraining.cost, known)
    if trigger is Trigger.DRIFT:
        against += _too_early(known, now)
    return Decision(now, trigger is not None and not against, trigger, (*reasons, *against))


def by_the_clock(plan: str, running: bool, canary: int | None, released: bool, now: datetime) -> Decision:
    """A time that people have set asks for a training, as `plan` says. Neither cooldown nor budget stand against it;
    a training under way does, and a version on trial, and that nothing is in production yet."""
    against = [
        None if released else "nothing is released yet, so there is no model to replace",
        "a training is under way: it ends first" if running else None,
        None if canary is None else f"version {canary} is on trial: its verdict comes first",
    ]
    found = tuple(reason for reason in against if reason)
    return Decision(now, not found, Trigger.SCHEDULE, (f"the schedule asks for it: {plan}", *found))


def _against(retraining: Retraining, known: Known, now: datetime) -> tuple[str, ...]:
    """What speaks against a retraining now, whatever the trigger."""
    found = [
        f"version {known.canary} is on trial: its verdict comes first" if known.canary is not None else None,
        _cooling(retraining.cooldown, known.begun[-1] if known.begun else None, now),
        _spent(retraining.budget, known.begun, now),
    ]
    return tuple(reason for reason in found if reason)


def _spent(budget: float | None, begun: Sequence[datetime], now: datetime) -> str | None:
    """Whether the budget of retrainings is used up: those of the last month, or of the time that one of them takes
    where the budget is less than one a month."""
    if budget is None:
        return None
    span = max(_MONTH, timedelta(seconds=1 / budget))
    most = max(1, round(budget * span.total_seconds()))
    past = sum(now - one < span for one in begun)
    if past < most:
        return None
    return f"{past} retrainings in {format_duration(span)} are all that the budget allows"


def _too_dear(cost: Cost, known: Known) -> tuple[str, ...]:
    """The cost-aware rule in its simplest form (Mahadevan and Mathioudakis 2023, CARA): the loss of keeping the model,
    as far as it is known now, over the horizon, against the price of a retraining."""
    if cost.retraining is None or cost.error is None:
        return ()
    if known.losses is not None and known.losses.degraded and not (known.performance and known.performance.degraded):
        return ()  # that it has fallen is sure, by how many points of the metric is not known yet
    points = 100 * _loss(known)
    keeping = points * cost.error * known.per_day * cost.horizon / timedelta(days=1)
    figures = (
        f"keeping the model costs about {keeping:.4g} in {format_duration(cost.horizon)} ({points:.2g} points, "
        f"{known.per_day:,.0f} predictions a day), a retraining {cost.retraining:.4g}"
    )
    return () if keeping >= cost.retraining else (figures,)


def _too_early(known: Known, now: datetime) -> tuple[str, ...]:
    """Rows unlike the training's teach nothing before their truths are known: a model trained now learns from the same
    rows as the one before."""
    since = known.drifting_since
    if since is None or now - since >= known.label_delay:
        return ()
    delay = format_duration(known.label_delay)
    sentence = f"rows like these have come since {since:%Y-%m-%d}, and their labels come {delay} later"
    return (f"{sentence}: trained now, a model would learn nothing of them",)


def _loss(known: Known) -> float:
    """How much of the metric is lost by now: as measured where labels tell, else as estimated."""
    found = known.performance
    if found is not None and found.value is not None and found.degraded:
        return abs(found.expected - found.value)
    return max(known.impact.drop, 0.0) if known.impact is not None else 0.0


def _by_data(least: int, labels: int) -> _Finding:
    return _Finding(
        Trigger.DATA, labels >= least, f"{labels:,} new labels since the release, of {least:,} that are worth it"
    )


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


def _by_performance(
    found: PerformanceReport | None, short_of: float | None, losses: LossReport | None = None
) -> _Finding:
    if losses is not None and losses.degraded and losses.recent is not None and not (found and found.degraded):
        figures = f"{losses.recent:.4g} on {losses.labels:,} labels, against {losses.expected:.4g} in the test"
        return _Finding(
            Trigger.PERFORMANCE, True, f"{FALLEN[0]}: the mean loss ({losses.kind.words}), label by label, is {figures}"
        )
    if short_of is not None and not (found is not None and found.degraded):
        # It was trained when few rows of the changed world had labels: by now there are more of them.
        figures = f"an earlier champion reached {short_of:.4g} in its test"
        return _Finding(Trigger.PERFORMANCE, True, f"{FALLEN[1]} by the last retraining: {figures}")
    if found is None or found.value is None:
        return _Finding(Trigger.PERFORMANCE, False, "performance is unknown: no labels have come yet")
    figures = (
        f"{found.metric} is {found.value:.4g} on {found.labels:,} labels, against {found.expected:.4g} in the test"
    )
    if found.degraded:
        return _Finding(Trigger.PERFORMANCE, True, f"{FALLEN[0]}: {figures}, worse than chance explains")
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
    unit = "% of it" if impact.relative else " points"
    cost = f"the estimated loss of {impact.metric} is {100 * impact.drop:.2f}{unit}"
    bar = f"{100 * least:.2f}{unit}"
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
