"""The report's part on data quality: the checks of training on what callers sent and runs read."""

from __future__ import annotations

from collections.abc import Sequence

from everfit.records.quality import FailedCheck, Origin, QualityLook
from everfit.reporting.markup import figure, quiet, table
from everfit.reporting.pictures import Point, Size, course
from everfit.reporting.report import Report

_SIZE = Size(860, 130, wide=True)


def tile(report: Report) -> tuple[str, str, str]:
    """The newest score, with what it is about, and how it is to be coloured."""
    if not report.checked:
        return "-" if report.quality is None else f"{report.quality:.0%}", "data quality in training", ""
    newest = report.checked[-1]
    what = "of checks pass in the window" if newest.origin is Origin.PREDICTIONS else "of checks pass in the last run"
    return f"{newest.score:.0%}", what, "bad" if newest.news else "good" if newest.score == 1 else "warn"


def over_time(report: Report) -> str:
    """The share of checks passed over time, and those that failed at last, of windows and of runs."""
    if not report.checked:
        return quiet("Nothing has been checked since training.")
    return "".join(_of(origin, report.checked) for origin in Origin)


def _of(origin: Origin, checked: Sequence[QualityLook]) -> str:
    looks = [one for one in checked if one.origin is origin]
    if not looks:
        return ""
    what = "windows of predictions" if origin is Origin.PREDICTIONS else "tables that runs read"
    points = [
        Point(one.at, one.score, text=f"{one.at:%Y-%m-%d %H:%M}: {_said(one)}", bad=bool(one.news)) for one in looks
    ]
    caption = f"Share of checks passed by {what}; red where one fails more often than in training explains."
    drawn = figure(course(points, [], caption, _SIZE, most=1.0), caption) if len(points) > 1 else ""
    return drawn + _failed(looks[-1], what)


def _said(look: QualityLook) -> str:
    return f"{look.checks - len(look.failed):,} of {look.checks:,} checks pass on {look.rows:,} rows"


def _failed(look: QualityLook, what: str) -> str:
    if not look.failed:
        return quiet(f"The last of the {what}: all {look.checks:,} checks passed on {look.rows:,} rows.")
    rows = [
        (one.check, one.column or "the table", one.observed, one.expected, _shares(one), "alarm" if one.is_news else "")
        for one in look.failed
    ]
    head = quiet(f"The last of the {what}: {_said(look)}.")
    return head + table(("check", "column", "observed", "expected", "rows before and now", ""), rows)


def _shares(one: FailedCheck) -> str:
    before, now = ("-" if share is None else f"{share:.2%}" for share in (one.before, one.share))
    return f"{before} → {now}"
