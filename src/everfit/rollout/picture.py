"""The picture of a verdict: for each criterion the excess seen and its bounds over time, drawn as SVG.

Own lines in place of a plotting library, because the process that serves draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from everfit.records.release import Criterion, Finding
from everfit.rollout.wording import amount, title

_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _BOTTOM = 860, 210, 90, 120, 60, 34
_BAND, _LINE, _LIMIT, _INK, _GRID = "#56B4E9", "#0072B2", "#D55E00", "#333333", "#E6E6E6"


@dataclass(frozen=True, slots=True)
class Look:
    """The criteria at a time, in the same order at every look."""

    at: datetime
    findings: Sequence[Finding]


def svg(heading: str, looks: Sequence[Look], steps: Sequence[tuple[datetime, float]]) -> str:
    """One panel a criterion: the line is the excess, the band its bounds, the dashed line what is allowed; vertical
    lines are where a step of that share began. `looks` are at least one, oldest first."""
    height = _TOP + _PANEL * len(looks[-1].findings) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(heading)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<g font-family="sans-serif" font-size="12" fill="{_INK}">',
        f'<text x="{_LEFT}" y="28" font-size="16" font-weight="bold">{escape(heading)}</text>',
    ]
    for place in range(len(looks[-1].findings)):
        parts += _panel(_Panel.of(looks, place, _TOP + place * _PANEL), steps)
    return "\n".join([*parts, "</g>", "</svg>\n"])


@dataclass(frozen=True, slots=True)
class _Panel:
    criterion: Criterion
    findings: Sequence[Finding]
    times: Sequence[datetime]
    top: float
    low: float
    high: float

    @classmethod
    def of(cls, looks: Sequence[Look], place: int, top: float) -> _Panel:
        findings = [look.findings[place] for look in looks]
        # What the first looks left open would flatten the rest.
        late = findings[len(findings) // 3 :]
        seen = [v for one in late for v in (one.low, one.estimate, one.high) if v is not None]
        margin = findings[-1].margin
        low, high = min([0.0, -margin, *seen]), max([2 * margin, 1e-4, *seen])
        most = 12 * max(margin, max((abs(one.estimate) for one in late if one.estimate is not None), default=0.0), 1e-4)
        low, high = max(low, -most), min(high, most)
        room = (high - low) / 12
        return cls(findings[-1].criterion, findings, [look.at for look in looks], top, low - room, high + room)

    def x(self, at: datetime) -> float:
        whole = max((self.times[-1] - self.times[0]).total_seconds(), 1e-9)
        share = (at - self.times[0]).total_seconds() / whole
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, share)), 1)

    def y(self, excess: float) -> float:
        share = (min(self.high, max(self.low, excess)) - self.low) / (self.high - self.low)
        return round(self.top + 24 + (_PANEL - _BOTTOM - 24) * (1 - share), 1)


def _panel(panel: _Panel, steps: Sequence[tuple[datetime, float]]) -> list[str]:
    left, right = _LEFT, _WIDTH - _RIGHT
    floor = panel.top + _PANEL - _BOTTOM
    margin = panel.findings[-1].margin
    name = f"{title(panel.criterion)}: challenger against champion"
    parts = [f'<text x="{left}" y="{panel.top + 14}" font-weight="bold">{name}</text>']
    for at, share in steps:
        x = panel.x(at)
        parts.append(_stroke(x, panel.top + 24, x, floor, _GRID, "2"))
        parts.append(f'<text x="{x + 3}" y="{floor - 4}" font-size="10" fill="#8C8C8C">{100 * share:.3g}%</text>')
    parts += [
        _stroke(left, panel.y(0), right, panel.y(0), "#8C8C8C"),
        f'<text x="{left - 8}" y="{panel.y(0) + 4}" text-anchor="end">0</text>',
        _band(panel),
        _curve(panel),
        _stroke(left, panel.y(margin), right, panel.y(margin), _LIMIT, "1.5", dashes="6 4"),
        f'<text x="{right + 6}" y="{panel.y(margin) + 4}" fill="{_LIMIT}">{amount(panel.criterion, margin)}</text>',
        f'<text x="{right + 6}" y="{panel.y(margin) + 18}" font-size="10" fill="{_LIMIT}">allowed</text>',
    ]
    for excess in (panel.low, panel.high):
        label = amount(panel.criterion, excess)
        parts.append(f'<text x="{left - 8}" y="{panel.y(excess) + 4}" text-anchor="end">{label}</text>')
    for at, anchor in ((panel.times[0], "start"), (panel.times[-1], "end")):
        when = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        parts.append(f'<text x="{panel.x(at)}" y="{floor + 18}" text-anchor="{anchor}" fill="#8C8C8C">{when}</text>')
    return parts


def _band(panel: _Panel) -> str:
    pairs = list(zip(panel.times, panel.findings, strict=True))
    upper = [(panel.x(at), panel.y(panel.high if one.high is None else one.high)) for at, one in pairs]
    # A distance has nothing below zero.
    least = 0.0 if panel.criterion is Criterion.SCORES else panel.low
    lower = [(panel.x(at), panel.y(least if one.low is None else one.low)) for at, one in pairs]
    points = " ".join(f"{x},{y}" for x, y in [*upper, *reversed(lower)])
    return f'<polygon points="{points}" fill="{_BAND}" fill-opacity="0.3"/>'


def _curve(panel: _Panel) -> str:
    pairs = zip(panel.times, panel.findings, strict=True)
    points = " ".join(f"{panel.x(at)},{panel.y(one.estimate)}" for at, one in pairs if one.estimate is not None)
    return f'<polyline points="{points}" fill="none" stroke="{_LINE}" stroke-width="2"/>'


def _stroke(x1: float, y1: float, x2: float, y2: float, color: str, width: str = "1", dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{color}" stroke-width="{width}"{dashed}/>'
