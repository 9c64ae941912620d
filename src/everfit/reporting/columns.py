"""The report's table of columns: each with its picture, how far it moved, and what that did to the score."""

from __future__ import annotations

from html import escape

from everfit.records.watch import ColumnDrift, DriftReport
from everfit.reporting.pictures import bars
from everfit.reporting.report import ColumnView, Report

_HEADERS = ("column", "training and window", "rows moved", "", "", "missing", "moved the score", "")


def by_column(report: Report, key: str) -> str:
    """The table, the column that matters most first, under a sentence on the test it comes from."""
    drift = next((look.drift for look in reversed(report.looks) if look.drift is not None), None)
    if not report.columns:
        return "<p class='quiet'>No window of predictions is large enough yet.</p>"
    ordered = sorted(report.columns, key=lambda view: view.weight, reverse=True)
    head = "".join(f"<th>{escape(name)}</th>" for name in _HEADERS)
    rows = "".join(_row(view, drift) for view in ordered)
    about = "" if report.since is None or report.until is None else _about(report, drift)
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f'{about}<p class="quiet">{key}</p>{table}'


def chance(p_value: float) -> str:
    """A p-value as people read it, in HTML.

    >>> chance(0.0321), chance(1e-30)
    ('p = 0.032', 'p &lt; 1e-12')
    """
    return "p &lt; 1e-12" if p_value < 1e-12 else f"p = {p_value:.2g}"


def _about(report: Report, drift: DriftReport | None) -> str:
    span = f"{report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M}"
    if drift is None:
        return f"<p>{report.rows:,} predictions, {span}; not tested yet.</p>"
    joint = ""
    if drift.joint is not None:
        told = "tells" if drift.joint.drifted else "does not tell"
        joint = f" All columns together: a classifier {told} the window from the rows before it."
    return (
        f"<p>{report.rows:,} predictions, {span}. The whole look alarms falsely with a rate of {drift.alpha:.2%}; the "
        f"mark on each bar is the least share of rows that counts.{joint}</p>"
    )


def _row(view: ColumnView, drift: DriftReport | None) -> str:
    worst, shape = view.worst, view.shape
    picture = bars(shape) if shape else f'<span class="quiet">{"personal: not shown" if view.personal else "-"}</span>'
    missing = "-" if shape is None else f"{shape.missing_then:.1%} → {shape.missing_now:.1%}"
    influence = max((test.influence for test in view.tests if test.influence is not None), default=None)
    badge = '<span class="badge">drifted</span>' if view.drifted else '<span class="badge calm">calm</span>'
    cells = [
        f'<td class="name">{escape(view.name)}</td>',
        f"<td>{picture}</td>",
        f"<td>{_meter(worst, drift)}</td>",
        f'<td class="figure">{"-" if worst is None else f"{worst.effect:.1%}"}</td>',
        f'<td class="figure">{"-" if worst is None else chance(worst.adjusted)}</td>',
        f'<td class="figure">{missing}</td>',
        f'<td class="figure">{"-" if influence is None else f"{influence:.2f} sd"}</td>',
        f"<td>{badge}</td>",
    ]
    return f'<tr class="{"" if view.drifted else "calm"}">{"".join(cells)}</tr>'


def _meter(worst: ColumnDrift | None, drift: DriftReport | None) -> str:
    """The share of rows moved on a scale that ends at one half, with the floor marked."""
    if worst is None:
        return ""
    floor = worst.floor if worst.floor is not None else (drift.floor if drift else 0.0)
    bad = ' class="bad"' if worst.drifted else ""
    mark = f'<u style="left:{min(200 * floor, 100):.1f}%"></u>' if floor else ""
    return f'<div class="meter"><i{bad} style="width:{min(200 * worst.effect, 100):.1f}%"></i>{mark}</div>'
