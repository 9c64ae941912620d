"""The report as one page of HTML: nothing is loaded from anywhere, no script runs, and it is light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from everfit.records.watch import Alarm, AlarmState, MonitorReport, PerformanceReport
from everfit.reporting import outcomes, quality
from everfit.reporting.columns import by_column, chance
from everfit.reporting.markup import figure, section, table
from everfit.reporting.pictures import LARGE, Bar, Size, bars, columns
from everfit.reporting.report import Day, Report

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_MOST = 20  # decisions, retrainings and times of the schedule
_KEY = '<span class="key"><i></i>training</span><span class="key"><i class="now"></i>this window</span>'


def page(report: Report) -> str:
    """The whole document."""
    body = "\n".join([_header(report), _tiles(report), *_sections(report)])
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(report.project)}: production report</title>
<style>{_style()}</style>
</head>
<body>
{body}
<footer>Written by everfit. All times are UTC.</footer>
</body>
</html>
"""


def _header(report: Report) -> str:
    family = f" ({report.family})" if report.family else ""
    who = "nothing is released" if report.version is None else f"version {report.version}{family}"
    about = f"environment {report.environment}, {who}, {report.at:%Y-%m-%d %H:%M} UTC"
    return f'<header><h1>{escape(report.project)}</h1><span class="quiet">{escape(about)}</span></header>'


def _sections(report: Report) -> Iterable[str]:
    yield section("Decision", _decision(report.looks[-1:]))
    standing = [one for one in report.alarms if one.state is not AlarmState.RESOLVED]
    yield section("Alarms", "".join(map(_alarm, standing)) or "<p class='quiet'>None is open.</p>")
    yield section("Performance", outcomes.performance(report))
    yield section("Data quality", quality.over_time(report))
    yield section("Score", _score(report))
    yield section("Columns", by_column(report, _KEY))
    yield section("Traffic and labels", _traffic(report.days))
    yield section("Decisions so far", _decisions(report))
    if report.slots:
        rows = [
            (f"{one.due:%Y-%m-%d %H:%M}", one.job.value, one.turnout.value, one.text)
            for one in reversed(report.slots[-_MOST:])
        ]
        yield section("Schedule", table(("due", "job", "", "what came of it"), rows))


def _tiles(report: Report) -> str:
    drifts = [look.drift for look in report.looks if look.drift is not None]
    held = next((look.performance for look in reversed(report.looks) if look.performance is not None), None)
    opened = sum(one.state is not AlarmState.RESOLVED for one in report.alarms)
    drifted = sum(one.drifted for one in report.columns)
    tiles = [
        (f"{sum(day.predictions for day in report.days):,}", "predictions in the window", ""),
        (f"{drifted} of {len(report.columns)}" if drifts else "-", "columns drifted", "warn" if drifted else ""),
        _metric(held),
        (f"{held.coverage:.0%}" if held else "-", "of predictions due have a label", ""),
        quality.tile(report),
        (f"{opened}", "open alarms", "bad" if opened else "good"),
    ]
    shown = [f'<div class="tile"><b class="{kind}">{escape(big)}</b><span>{escape(what)}</span></div>'
             for big, what, kind in tiles]  # fmt: skip
    return f'<div class="tiles">{"".join(shown)}</div>'


def _metric(held: PerformanceReport | None) -> tuple[str, str, str]:
    if held is None or held.value is None:
        return "-", "performance: no labels yet", ""
    return f"{held.value:.4g}", f"{held.metric}, {held.expected:.4g} in the test", "bad" if held.degraded else "good"


def _decision(looks: Sequence[MonitorReport]) -> str:
    if not looks:
        return "<p class='quiet'>Nobody has looked yet: run <code>everfit monitor</code>.</p>"
    decision = looks[-1].decision
    head = "<b class='warn'>Retrain</b>" if decision.retrain else "<b>No retraining</b>"
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in decision.reasons)
    return f"<p>{head}, decided at {decision.at:%Y-%m-%d %H:%M}:</p><ul>{reasons}</ul>"


def _alarm(alarm: Alarm) -> str:
    rate = alarm.false_alarm_rate
    parts = [
        f"id {alarm.id}",
        f"{alarm.at:%Y-%m-%d %H:%M}",
        alarm.state.value,
        *([] if rate is None else [f"false alarms: {100 * rate:.2g}% of looks"]),
    ]
    cause = f"<p>{escape(alarm.cause)}</p>" if alarm.cause else ""
    return (
        f'<div class="alarm {alarm.state.value}"><p><b>{escape(alarm.kind.replace("_", " "))}</b>: '
        f'{escape(alarm.message)}</p>{cause}<p class="quiet">{escape(" · ".join(parts))}</p></div>'
    )


def _score(report: Report) -> str:
    view = report.score
    if view is None or view.shape is None:
        return "<p class='quiet'>No predictions in the window.</p>"
    test = view.worst
    moved = ""
    if test is not None:
        said = "drifted" if test.drifted else "no drift"
        moved = f"{test.effect:.1%} of predictions moved ({chance(test.adjusted)}): {said}."
    return f"<p>{moved}</p>{figure(bars(view.shape, LARGE), _KEY)}"


def _traffic(days: Sequence[Day]) -> str:
    if not days:
        return "<p class='quiet'>No predictions in the window.</p>"
    ends = (f"{days[0].day}", f"{days[-1].day}" if len(days) > 1 else "")
    asked = [Bar(d.predictions, d.errors, f"{d.day}: {d.predictions:,} predictions, {d.errors:,} failed") for d in days]
    known = [Bar(d.due, d.labelled, f"{d.day}: {d.labelled:,} of {d.due:,} due have a label") for d in days]
    size = Size(860, 110, wide=True)
    parts = [figure(columns(asked, "Predictions a day", ends, size), "Predictions a day; failed ones in colour.")]
    if any(d.due for d in days):
        drawn = columns(known, "Labels by day of the prediction", ends, size)
        text = "Predictions whose label is due, by the day they were made; those that have one in colour."
        parts.append(figure(drawn, text))
    return "".join(parts)


def _decisions(report: Report) -> str:
    looks = [
        (f"{look.at:%Y-%m-%d %H:%M}", "retrain" if look.decision.retrain else "no", "; ".join(look.decision.reasons))
        for look in reversed(report.looks[-_MOST:])
    ]
    trained = [
        (f"{one.at:%Y-%m-%d %H:%M}", f"{one.version or '-'}", _came(one.error, one.deployed, one.waiting), one.reason)
        for one in reversed(report.retrainings[-_MOST:])
    ]
    parts = [table(("look", "retrain", "why"), looks)] if looks else ["<p class='quiet'>None yet.</p>"]
    if trained:
        parts.append(f"<h2>Retrainings</h2>{table(('begun', 'version', 'came to', 'why'), trained)}")
    return "".join(parts)


def _came(error: str | None, deployed: bool, waiting: bool) -> str:
    if error is not None:
        return error.partition("\n")[0]
    return "released" if deployed else "waits for approval" if waiting else "nothing released"


@cache
def _style() -> str:
    return files("everfit.reporting").joinpath("report.css").read_text(encoding="utf-8")
