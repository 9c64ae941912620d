"""The report as one page of HTML: nothing is loaded from anywhere, no script runs, and it is light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from everfit.records.watch import Alarm, AlarmState, MonitorReport, PerformanceReport
from everfit.reporting.columns import by_column, chance
from everfit.reporting.pictures import LARGE, Bar, Line, Point, Size, bars, columns, course
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
    yield _section("Decision", _decision(report.looks[-1:]))
    standing = [one for one in report.alarms if one.state is not AlarmState.RESOLVED]
    yield _section("Alarms", "".join(map(_alarm, standing)) or "<p class='quiet'>None is open.</p>")
    yield _section("Performance", _performance(report))
    yield _section("Score", _score(report))
    yield _section("Columns", by_column(report, _KEY))
    yield _section("Traffic and labels", _traffic(report.days))
    yield _section("Decisions so far", _decisions(report))
    if report.slots:
        rows = [
            (f"{one.due:%Y-%m-%d %H:%M}", one.job.value, one.turnout.value, one.text)
            for one in reversed(report.slots[-_MOST:])
        ]
        yield _section("Schedule", _table(("due", "job", "", "what came of it"), rows))


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
        ("-" if report.quality is None else f"{report.quality:.0%}", "data quality in training", ""),
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


def _performance(report: Report) -> str:
    judged = [
        (look, look.performance) for look in report.looks if look.performance and look.performance.value is not None
    ]
    if not judged:
        return "<p class='quiet'>No window of labelled predictions is large enough yet.</p>"
    newest = judged[-1][1]
    points = [
        Point(look.at, p.value, p.low, p.high, _judged(look, p), p.degraded)
        for look, p in judged
        if p.value is not None and p.metric == newest.metric
    ]
    sign = 1 if report.higher_is_better else -1
    lines = [
        Line(newest.expected, "expected", f"{newest.expected:.4g} in the test"),
        Line(newest.expected - sign * report.tolerance, "limit", "tolerated"),
    ]
    figure = course(points, lines, f"{newest.metric} on matured labels over time")
    caption = (
        f"{escape(newest.metric)} of each window of labels that counted first then, with its {1 - newest.alpha:.3%} "
        "interval. It is an alarm (red) when the loss against the test exceeds what is tolerated by more than chance "
        "explains on both sides."
    )
    estimate = ""
    if newest.accuracy is not None and newest.estimated is not None:
        estimate = (
            f"<p class='quiet'>Accuracy on the newest labels: {newest.accuracy:.3f}; from the scores alone "
            f"{newest.estimated:.3f} had been estimated.</p>"
        )
    return _figure(figure, caption) + estimate


def _judged(look: MonitorReport, found: PerformanceReport) -> str:
    between = "" if found.low is None or found.high is None else f" ({found.low:.4g} to {found.high:.4g})"
    figures = f"{found.metric} {found.value:.4g}{between} on {found.labels:,} labels"
    return f"{look.at:%Y-%m-%d %H:%M}, version {look.version}: {figures}"


def _score(report: Report) -> str:
    view = report.score
    if view is None or view.shape is None:
        return "<p class='quiet'>No predictions in the window.</p>"
    test = view.worst
    moved = ""
    if test is not None:
        said = "drifted" if test.drifted else "no drift"
        moved = f"{test.effect:.1%} of predictions moved ({chance(test.adjusted)}): {said}."
    return f"<p>{moved}</p>{_figure(bars(view.shape, LARGE), _KEY)}"


def _traffic(days: Sequence[Day]) -> str:
    if not days:
        return "<p class='quiet'>No predictions in the window.</p>"
    ends = (f"{days[0].day}", f"{days[-1].day}" if len(days) > 1 else "")
    asked = [Bar(d.predictions, d.errors, f"{d.day}: {d.predictions:,} predictions, {d.errors:,} failed") for d in days]
    known = [Bar(d.due, d.labelled, f"{d.day}: {d.labelled:,} of {d.due:,} due have a label") for d in days]
    size = Size(860, 110, wide=True)
    parts = [_figure(columns(asked, "Predictions a day", ends, size), "Predictions a day; failed ones in colour.")]
    if any(d.due for d in days):
        drawn = columns(known, "Labels by day of the prediction", ends, size)
        text = "Predictions whose label is due, by the day they were made; those that have one in colour."
        parts.append(_figure(drawn, text))
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
    parts = [_table(("look", "retrain", "why"), looks)] if looks else ["<p class='quiet'>None yet.</p>"]
    if trained:
        parts.append(f"<h2>Retrainings</h2>{_table(('begun', 'version', 'came to', 'why'), trained)}")
    return "".join(parts)


def _came(error: str | None, deployed: bool, waiting: bool) -> str:
    if error is not None:
        return error.partition("\n")[0]
    return "released" if deployed else "waits for approval" if waiting else "nothing released"


def _figure(drawn: str, caption: str) -> str:
    return f"<figure>{drawn}<figcaption>{caption}</figcaption></figure>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in headers)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    kind = ' class="short"' if len(text) < 24 else ""
    return f"<td{kind}>{escape(text)}</td>"


@cache
def _style() -> str:
    return files("everfit.reporting").joinpath("report.css").read_text(encoding="utf-8")
