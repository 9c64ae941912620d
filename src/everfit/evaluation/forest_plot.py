"""Values with their intervals, one below the other, drawn for a page that has light and dark colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_WIDTH, _RIGHT, _LINE, _LETTER = 720, 70, 24, 6.6
_LETTERS = 38


@dataclass(frozen=True, slots=True)
class Bar:
    """A value between two bounds, with its name; `marked` draws the eye."""

    name: str
    low: float
    value: float
    high: float
    marked: bool = False


def forest(bars: Sequence[Bar]) -> str:
    """An inline SVG, or nothing without bars. It has no colours of its own: the page's classes give them.

    >>> forest([Bar("a < b", 0.1, 0.2, 0.3)]).count("&lt;")
    2
    """
    if not bars:
        return ""
    low, high = min(bar.low for bar in bars), max(bar.high for bar in bars)
    span = (high - low) or 1.0
    left = 20 + _LETTER * min(_LETTERS, max(len(bar.name) for bar in bars))
    height = _LINE * len(bars) + 30

    def x(value: float) -> float:
        return round(left + (_WIDTH - left - _RIGHT) * (value - low) / span, 1)

    ticks = "".join(_tick(x(at), at, height) for at in np.linspace(low, high, 5).tolist())
    rows = "".join(_row(bar, index, left, x) for index, bar in enumerate(bars))
    return f'<div class="wide"><svg class="forest" role="img" viewBox="0 0 {_WIDTH} {height}">{ticks}{rows}</svg></div>'


def _tick(at: float, value: float, height: int) -> str:
    line = f'<line class="grid" x1="{at}" x2="{at}" y1="4" y2="{height - 24}"/>'
    return f'{line}<text class="tick" x="{at}" y="{height - 8}" text-anchor="middle">{value:.3g}</text>'


def _row(bar: Bar, index: int, left: float, x: Callable[[float], float]) -> str:
    y = _LINE * index + 16
    name = bar.name if len(bar.name) <= _LETTERS else bar.name[: _LETTERS - 1] + "…"
    kind = "bar marked" if bar.marked else "bar"
    return (
        f'<g class="{kind}"><title>{escape(bar.name)}: {bar.value:.4f}, {bar.low:.4f} to {bar.high:.4f}</title>'
        f'<text x="{left - 12:.1f}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
        f'<line x1="{x(bar.low)}" x2="{x(bar.high)}" y1="{y}" y2="{y}"/><circle cx="{x(bar.value)}" cy="{y}" r="5"/>'
        f'<text class="figure" x="{_WIDTH - 4}" y="{y + 4}" text-anchor="end">{bar.value:.4f}</text></g>'
    )
