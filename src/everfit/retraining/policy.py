"""Whether to retrain: a pure function of what is known, with every reason for and against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import NamedTuple

from everfit.project.quantities import format_duration
from everfit.project.sections.monitoring import Cost, Drift, Retraining
from everfit.records.watch import Decision, DriftReport, ImpactEstimate, LossReport, PerformanceReport, Trigger

_MONTH = timedelta(days=30)
# How many times as many labelled rows of a changed world are worth another retraining: what a model errs for want of
# rows falls with their number, so that three quarters of that are gone then.
GROWN = 4
_MOST_ALPHA = 0.05  # a rule whose looks are often wrong does not make an estimate surer


class _Finding(NamedTuple):
    trigger: Trigger
    holds: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """Since when performance has fallen. `labels` predictions made since then have a label by now; `learned` is how
    many there were at the last retraining because of it, 0 before the first."""

    since: datetime
    labels: int
    learned: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What a decision is made of. `champion_since` is None before the first release. `begun` holds when earlier
    retrainings began, oldest first, whatever came of them; `running` is whether a training is under way; `labels`
    counts those that came since the champion was released; `per_day` is how many predictions are made.
    `drifting_since` is when the first of the looks was that have found drift without a break, `label_delay` how
    long a truth takes to be known, and `judged` the last performance on labels of predictions made since then. `losses`
    are those on labels one by one, `change` what they date, None where they date nothing. Rows before `since` were left
    out of the last retraining; those before the change may be only where the table is `dated`."""

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
    judged: PerformanceReport | None = None
    losses: LossReport | None = None
    change: Change | None = None
    since: datetime | None = None
    dated: bool = False


def decide(
    retraining: Retraining, drift_settings: Drift, now: datetime, known: Known, forced: bool = False
) -> Decision:
    """Retrain when something asks for it, the project allows that trigger and nothing stands against it.

    Performance, drift, schedule and new data are looked at in this order and the first one that holds is the trigger.
    Losses that are an alarm retrain only once they are lasting: beyond chance from one time on. A retraining because of
    them waits until there are rows of that time to learn from, and leaves out those before it.
    Drift of columns or of the score alone is no reason: the inputs of a healthy model move all the time. It needs an
    estimated loss that is at least `drift_settings.impact` by its lower bound, and that no labels contradict, or a
    fallen performance. Against it stand the cooldown, the
    budget, a training that is under way, a version on trial (it may be the answer, and two are not tried at once), and
    the price: where `retraining.cost` is given, the loss to expect from keeping the model must exceed it.

    `forced` (by hand) asks regardless, and ignores all of these but a training under way. Without a champion nothing is
    in production to be replaced: never.
    """
    if known.champion_since is None:
        return Decision(now, False, None, ("nothing is released yet, so there is no model to replace",))
    findings = (
        _by_performance(known.performance, known.change, known.losses),
        _by_drift(known, drift_settings.impact),
        _by_schedule(retraining.schedule, known.champion_since, now),
        _by_data(retraining.labels, known.labels),
    )
    reasons = _reasons(findings, retraining.on)
    if known.running:
        return Decision(now, False, None, (*reasons, "a training is under way: it ends first"))
    against = _against(retraining, known, now)
    if forced:
        ignored = f"; this is ignored: {', '.join(against)}" if against else ""
        return _yes(now, Trigger.MANUAL, (f"asked for by hand{ignored}", *reasons), known.since)
    trigger = next((f.trigger for f in findings if f.holds and f.trigger in retraining.on), None)
    if trigger in (Trigger.PERFORMANCE, Trigger.DRIFT) and not (known.change and known.change.learned):
        against += _too_dear(retraining.cost, known)
    if trigger is Trigger.PERFORMANCE:
        against += _too_few(retraining.rows, known.change)
    if trigger is Trigger.DRIFT:
        against += _too_early(known, now)
    if trigger is None or against:
        return Decision(now, False, trigger, (*reasons, *against))
    if trigger is not Trigger.PERFORMANCE or known.change is None:
        return _yes(now, trigger, reasons, known.since)
    fell = known.change.since
    return _yes(now, trigger, reasons, fell if known.dated and retraining.forget else known.since, fell)


def _yes(
    now: datetime,
    trigger: Trigger,
    reasons: tuple[str, ...],
    since: datetime | None,
    fell: datetime | None = None,
) -> Decision:
    left = () if since is None else (f"it learns from rows since {since:%Y-%m-%d}: before, performance was another",)
    return Decision(now, True, trigger, (*reasons, *left), since, fell)


def by_the_clock(
    plan: str, running: bool, canary: int | None, released: bool, now: datetime, since: datetime | None = None
) -> Decision:
    """A time that people have set asks for a training, as `plan` says, on rows `since` then where that is given.
    Neither cooldown nor budget stand against it; a training under way does, and a version on trial, and that nothing is
    in production yet."""
    against = [
        None if released else "nothing is released yet, so there is no model to replace",
        "a training is under way: it ends first" if running else None,
        None if canary is None else f"version {canary} is on trial: its verdict comes first",
    ]
    found = tuple(reason for reason in against if reason)
    return Decision(now, not found, Trigger.SCHEDULE, (f"the schedule asks for it: {plan}", *found), since)


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
    if known.losses is not None and known.losses.lasting and not (known.performance and known.performance.degraded):
        return ()  # that it has fallen is sure, by how many points of the metric is not known yet
    points = 100 * _loss(known)
    keeping = points * cost.error * known.per_day * cost.horizon / timedelta(days=1)
    figures = (
        f"keeping the model costs about {keeping:.4g} in {format_duration(cost.horizon)} ({points:.2g} points, "
        f"{known.per_day:,.0f} predictions a day), a retraining {cost.retraining:.4g}"
    )
    return () if keeping >= cost.retraining else (figures,)


def _too_few(least: int, change: Change | None) -> tuple[str, ...]:
    """A model learns of a changed world only from labelled rows of it."""
    if change is None or change.learned or change.labels >= least:
        return ()
    sentence = (
        f"performance has been another since {change.since:%Y-%m-%d}, and {change.labels:,} predictions made since"
    )
    return (f"{sentence} have a label: a retraining waits for {least:,} to learn from",)


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


def _by_performance(found: PerformanceReport | None, change: Change | None, losses: LossReport | None) -> _Finding:
    if found is None or not found.degraded:
        told = _by_losses(losses) or _by_growth(change)
        if told is not None:
            return told
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


def _by_losses(found: LossReport | None) -> _Finding | None:
    """Greater losses, where they say more than the metric of a window does."""
    if found is None or found.recent is None or not (found.lasting or found.degraded):
        return None
    figures = f"{found.recent:.4g} on {found.labels:,} labels, against {found.expected:.4g} in the test"
    told = f"the mean loss ({found.kind.words}), label by label, is {figures}"
    if found.lasting and found.since is not None:
        since = f"performance has fallen, and has been worse since {found.since:%Y-%m-%d}"
        return _Finding(Trigger.PERFORMANCE, True, f"{since}: {told}")
    return _Finding(
        Trigger.PERFORMANCE, False, f"performance may have fallen: {told}, but not from one time on beyond chance"
    )


def _by_growth(change: Change | None) -> _Finding | None:
    """Whether there is much more to learn of a changed world than at the last retraining because of it."""
    if change is None or not change.learned:
        return None
    then = f"the last retraining had {change.learned:,} labelled rows since performance fell"
    if change.labels < GROWN * change.learned:
        return _Finding(
            Trigger.PERFORMANCE,
            False,
            f"{then}, by now there are {change.labels:,}: the next one comes with {GROWN * change.learned:,}",
        )
    return _Finding(Trigger.PERFORMANCE, True, f"{then}, by now there are {change.labels:,} to learn from")


def _by_drift(known: Known, least: float) -> _Finding:
    report, impact = known.drift, known.impact
    if report is None:
        return _Finding(Trigger.DRIFT, False, "drift is unknown: too few predictions to compare")
    what = _what_drifted(report)
    if not what:
        return _Finding(Trigger.DRIFT, False, f"nothing drifted in {report.rows:,} predictions")
    if known.performance is not None and known.performance.degraded:
        return _Finding(Trigger.DRIFT, True, f"{what} drifted, and labels confirm that performance has fallen")
    if impact is None:
        return _Finding(
            Trigger.DRIFT, False, f"{what} drifted, but nothing says that it costs anything: no estimate, no labels"
        )
    return _by_impact(what, impact, known.judged, least, report.alpha)


def _by_impact(
    what: str, impact: ImpactEstimate, judged: PerformanceReport | None, least: float, alpha: float
) -> _Finding:
    """Drift by what it is estimated to cost, at least: by the one-sided bound of confidence 1 - `alpha`."""
    unit = "% of it" if impact.relative else " points"
    bar = f"{100 * least:.2f}{unit}"
    cost = f"the estimated loss of {impact.metric} is {100 * impact.drop:.2f}{unit}"
    surely = impact.drop - NormalDist().inv_cdf(1 - min(max(alpha, 1e-9), _MOST_ALPHA)) * impact.error
    if impact.drop < least:
        told = f"{what} drifted, but {cost}, below {bar}: drift alone is no reason to retrain"
        return _Finding(Trigger.DRIFT, False, told)
    if surely < least:
        told = f"{what} drifted and {cost}, but surely only {100 * surely:.2f}, below {bar}"
        return _Finding(Trigger.DRIFT, False, told)
    measured = _measured(impact, judged)
    if judged is not None and measured is not None and measured < least:
        labels = f"{judged.labels:,} labels of predictions made since it drifted"
        told = f"{what} drifted and {cost}, but {labels} say that it is {100 * measured:.2f}"
        return _Finding(Trigger.DRIFT, False, told)
    told = f"{what} drifted and {cost}, surely {100 * surely:.2f} and at least the {bar} for which drift retrains"
    return _Finding(Trigger.DRIFT, True, told)


def _measured(impact: ImpactEstimate, judged: PerformanceReport | None) -> float | None:
    """The loss of what the estimate is about, by labels; None where they do not tell."""
    if judged is None or judged.low is None:
        return None
    if not impact.relative:
        return None if judged.accuracy is None else impact.reference - judged.accuracy
    if judged.metric != impact.metric or judged.value is None or not impact.reference:
        return None
    return (judged.value - impact.reference) / impact.reference


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
