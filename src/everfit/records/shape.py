"""A column's distribution then and now, small enough to travel with an alarm and to be drawn anywhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """Shares of rows by bin or level in training (`then`) and in the window (`now`), each adding up to 1 with the share
    that is missing. `labels` name them: the lower edges of equal bins and the last upper one where `binned`, so that
    there is one label more, else the levels."""

    column: str
    labels: tuple[str, ...]
    then: tuple[float, ...]
    now: tuple[float, ...]
    missing_then: float = 0.0
    missing_now: float = 0.0
    binned: bool = False
