"""Pictures as SVG inside a page: colours are the page's own variables, so that they are light and dark with it.

Own lines in place of a plotting library, because the process that watches draws them and mails carry them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import pairwise
from typing import NamedTuple

from everfit.records.shape import Shape


class Size(NamedTuple):
    """Width and height in pixels; `wide` pictures have labels."""

    width: int
    height: int
    wide: bool = False


SMALL, LARGE = Size(180, 44), Size(860, 200, wide=True)
_LABEL = 18


def bars(shape: Shape, size: Size = SMALL) -> str:
    """Training as grey bars, the window as a line of steps (bins) or slim bars (levels) before them, to one scale; what
    is missing is a last bar of its own."""
    then, now, labels = list(shape.then), list(shape.now), list(shape.labels)
    gap = bool(shape.missing_then or shape.missing_now)
    if gap:
        then, now = [*then, shape.missing_then], [*now, shape.missing_now]
        labels = [*labels, "missing"]
    floor = size.height - (_LABEL if size.wide else 0) - 1
    top, step = max((*then, *now), default=0) or 1.0, size.width / max(len(then), 1)
    scale = (floor - 2) / top
    parts = [_rect("then", n * step + 0.5, floor, step - 1, share * scale) for n, share in enumerate(then)]
    binned = len(shape.now) if shape.binned else 0
    if binned:
        parts.append(_steps(now[:binned], step, floor, scale))
    parts += [
        _rect("now", (n + 0.3) * step, floor, 0.4 * step, share * scale) for n, share in enumerate(now) if n >= binned
    ]
    parts.append(f'<line class="axis" x1="0" y1="{floor}" x2="{size.width}" y2="{floor}"/>')
    parts += _named(labels, step, size, shape.binned) if size.wide else []
    return _svg(size, f"{shape.column}: training and window", [*parts, *_tips(shape, then, now, labels, step, size)])


def _steps(now: Sequence[float], step: float, floor: float, scale: float) -> str:
    points = [f"0,{floor}"]
    for n, share in enumerate(now):
        y = floor - share * scale
        points += [f"{n * step:.1f},{y:.1f}", f"{(n + 1) * step:.1f},{y:.1f}"]
    points.append(f"{len(now) * step:.1f},{floor}")
    return f'<polygon class="now-area" points="{" ".join(points)}"/>'


def _named(labels: Sequence[str], step: float, size: Size, binned: bool) -> Iterable[str]:
    y = size.height - 4
    if not binned:
        room = int(step / 6)
        return [
            _text((n + 0.5) * step, y, label if len(label) <= room else f"{label[: max(room - 1, 1)]}…", "middle")
            for n, label in enumerate(labels)
        ]
    every = max(len(labels) // 6, 1)
    edges = [(n, label) for n, label in enumerate(labels) if n % every == 0 or label == "missing"]
    ends = {0: "start", len(labels) - 1: "end"}
    return [_text(min(n * step, size.width), y, label, ends.get(n, "middle")) for n, label in edges]


def _tips(
    shape: Shape, then: Sequence[float], now: Sequence[float], labels: Sequence[str], step: float, size: Size
) -> Iterable[str]:
    """What a pointer over a bar is told."""
    for n, (before, after) in enumerate(zip(then, now, strict=True)):
        upper = f" to {labels[n + 1]}" if shape.binned and n < len(shape.then) else ""
        text = escape(f"{labels[n]}{upper}: {before:.1%} in training, {after:.1%} now")
        area = f'x="{n * step:.1f}" y="0" width="{step:.1f}" height="{size.height}"'
        yield f'<g class="tip"><rect class="touch" {area}/><title>{text}</title></g>'


@dataclass(frozen=True, slots=True)
class Point:
    """A value at a time with its bounds, said in words by `text`; `bad` where it is an alarm."""

    at: datetime
    value: float
    low: float | None = None
    high: float | None = None
    text: str = ""
    bad: bool = False


class Line(NamedTuple):
    """A level across the picture, with its name: `expected` or `limit`."""

    value: float
    kind: str
    name: str


_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 150, 10, 24


def course(
    points: Sequence[Point], lines: Sequence[Line], title: str, size: Size = LARGE, most: float | None = None
) -> str:
    """Values over time with whiskers for their bounds, and levels to hold them against; none is above `most`. At least
    one point."""
    values = [v for p in points for v in (p.value, p.low, p.high) if v is not None] + [line.value for line in lines]
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or abs(high) * 0.05 or 0.05
    low, high = low - room, high + room if most is None else most
    first, last = points[0].at, points[-1].at
    whole = (last - first).total_seconds() or 1.0
    floor, right = size.height - _BOTTOM, size.width - _RIGHT

    def x(at: datetime) -> float:
        share = (at - first).total_seconds() / whole if len(points) > 1 else 0.5
        return _LEFT + 8 + (right - _LEFT - 16) * share

    def y(value: float) -> float:
        return _TOP + (floor - _TOP) * (high - value) / (high - low)

    parts = [_text(_LEFT - 8, y(v) + 4, f"{v:.3g}", "end") for v in _ticks(low, high)]
    parts += [_stroke("grid", _LEFT, y(v), right, y(v)) for v in _ticks(low, high)]
    parts += [_text(x(first), size.height - 6, f"{first:%Y-%m-%d %H:%M}", "start")]
    parts += [_text(x(last), size.height - 6, f"{last:%Y-%m-%d %H:%M}", "end")] if len(points) > 1 else []
    for line, place in zip(lines, _apart([y(line.value) for line in lines]), strict=True):
        parts.append(_stroke(line.kind, _LEFT, y(line.value), right, y(line.value)))
        parts.append(f'<text class="{line.kind}" x="{right + 6}" y="{place + 4:.1f}">{escape(line.name)}</text>')
    along = " ".join(f"{x(p.at):.1f},{y(p.value):.1f}" for p in points)
    parts.append(f'<polyline class="course" points="{along}"/>')
    for p in points:
        kind = "bad" if p.bad else "good"
        whisker = [] if p.low is None or p.high is None else [_stroke(kind, x(p.at), y(p.low), x(p.at), y(p.high))]
        dot = f'<circle class="{kind}" cx="{x(p.at):.1f}" cy="{y(p.value):.1f}" r="3.5"/>'
        parts.append(f'<g class="tip">{"".join(whisker)}{dot}<title>{escape(p.text)}</title></g>')
    return _svg(size, title, parts)


def _apart(places: Sequence[float], least: float = 14.0) -> list[float]:
    """The heights of labels, pushed down where they would stand on each other."""
    found = list(places)
    order = sorted(range(len(found)), key=lambda n: found[n])
    for before, after in pairwise(order):
        found[after] = max(found[after], found[before] + least)
    return found


def _ticks(low: float, high: float) -> list[float]:
    return [low + (high - low) * share for share in (0.08, 0.36, 0.64, 0.92)]


class Bar(NamedTuple):
    """One of a row of bars: its height, the part of it that stands out, and what a pointer is told."""

    total: float
    part: float
    text: str


def columns(found: Sequence[Bar], title: str, ends: tuple[str, str], size: Size = LARGE) -> str:
    """Bars side by side, such as one a day, the part that stands out in another colour."""
    floor, step = size.height - _LABEL - 1, size.width / max(len(found), 1)
    scale = (floor - 16) / (max((bar.total for bar in found), default=0) or 1.0)
    wide = min(step - 1, 40)
    parts = [f'<line class="axis" x1="0" y1="{floor}" x2="{size.width}" y2="{floor}"/>']
    for n, bar in enumerate(found):
        at = n * step + (step - wide) / 2
        shown = _rect("plain", at, floor, wide, bar.total * scale) + _rect("part", at, floor, wide, bar.part * scale)
        parts.append(f'<g class="tip">{shown}<title>{escape(bar.text)}</title></g>')
    parts += [_text(0, size.height - 4, ends[0], "start"), _text(size.width, size.height - 4, ends[1], "end")]
    return _svg(size, title, parts)


def _svg(size: Size, title: str, parts: Iterable[str]) -> str:
    kind = "wide" if size.wide else "small"
    box = f'viewBox="0 0 {size.width} {size.height}" width="{size.width}" height="{size.height}"'
    return f'<svg class="{kind}" {box} role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


def _rect(kind: str, x: float, floor: float, width: float, height: float) -> str:
    tall = max(height, 0.0)
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{floor - tall:.1f}" width="{max(width, 0.5):.1f}" height="{tall:.1f}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _stroke(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
