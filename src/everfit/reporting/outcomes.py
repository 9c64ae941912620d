"""The report's part on what became true: performance look by look, loss by loss, and week by week."""

from __future__ import annotations

from datetime import timedelta
from html import escape

from everfit.records.cohorts import Cohorts
from everfit.records.watch import LossReport, MonitorReport, PerformanceReport
from everfit.reporting.markup import figure, quiet
from everfit.reporting.pictures import Line, Point, course
from everfit.reporting.report import Report


def performance(report: Report) -> str:
    """The metric of each look that judged it, what the detector of losses says, and the metric by week."""
    parts = [_looks(report), _losses(report), _cohorts(report.cohorts, report)]
    return "".join(parts) or quiet("No window of labelled predictions is large enough yet.")


def _looks(report: Report) -> str:
    held = [(look, look.performance) for look in report.looks if look.performance is not None]
    judged = [(look, found) for look, found in held if found.value is not None]
    if not judged:
        return ""
    newest = judged[-1][1]
    points = [
        Point(look.at, found.value, found.low, found.high, _judged(look, found), found.degraded)
        for look, found in judged
        if found.value is not None and found.metric == newest.metric
    ]
    drawn = course(points, _lines(newest.expected, report), f"{newest.metric} on matured labels over time")
    caption = (
        f"{escape(newest.metric)} of each window of labels that counted first then, with its {1 - newest.alpha:.2%} "
        "interval. It is an alarm (red) when the loss against the test exceeds what is tolerated by more than chance "
        "explains on both sides."
    )
    return figure(drawn, caption) + _estimate(newest)


def _estimate(found: PerformanceReport) -> str:
    if found.accuracy is None or found.estimated is None:
        return ""
    figures = f"{found.accuracy:.3f}; from the scores alone {found.estimated:.3f} had been estimated."
    return quiet(f"Accuracy on the newest labels: {figures}")


def _judged(look: MonitorReport, found: PerformanceReport) -> str:
    figures = f"{found.metric} {found.value:.4g}{_between(found.low, found.high)} on {found.labels:,} labels"
    return f"{look.at:%Y-%m-%d %H:%M}, version {look.version}: {figures}"


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({low:.4g} to {high:.4g})"


def _lines(expected: float, report: Report) -> list[Line]:
    sign = 1 if report.higher_is_better else -1
    return [
        Line(expected, "expected", f"{expected:.4g} in the test"),
        Line(expected - sign * report.tolerance, "limit", "tolerated"),
    ]


def _losses(report: Report) -> str:
    found: LossReport | None = next((look.losses for look in reversed(report.looks) if look.losses is not None), None)
    if found is None or found.recent is None:
        return ""
    said = "has passed its bound" if found.degraded else "is below its bound"
    kind = found.kind.value.replace("_", " ")
    figures = f"{found.recent:.4g} on the newest {found.labels:,}, {found.expected:.4g} in the test"
    rate = f"once in {found.run_length:,.0f} labels at most"
    return quiet(
        f"Label by label ({kind}): {figures}; after {found.total:,} labels the detector {said}, which it would pass by "
        f"chance {rate}."
    )


def _cohorts(found: Cohorts | None, report: Report) -> str:
    shown = [one for one in found.cohorts if one.value is not None] if found is not None else []
    if found is None or not shown:
        return ""
    points = [
        Point(
            one.start, one.value, one.low, one.high,
            f"week of {one.start:%Y-%m-%d}: {found.metric} {one.value:.4g}{_between(one.low, one.high)}, "
            f"{one.labelled:,} of {one.matured:,} due have a label",
        )
        for one in shown
        if one.value is not None
    ]  # fmt: skip
    drawn = course(points, _lines(found.expected, report), f"{found.metric} by week of the prediction")
    last = shown[-1].start + timedelta(days=7)
    caption = (
        f"{escape(found.metric)} of version {found.version} by the week in which predictions were made, up to "
        f"{last:%Y-%m-%d}, with bounds that hold with 95%."
    )
    return figure(drawn, caption)
