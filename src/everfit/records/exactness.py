"""Whether a compiled model answers as the library does that fitted it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exactness:
    """What came of comparing the compiled form with the library's own predictor over `rows` rows, `thresholds` of
    which stand at or beside a split: the greatest difference, relative where scores exceed 1. Only what `holds` is
    served; `reason` says why another is not."""

    holds: bool
    rows: int = 0
    thresholds: int = 0
    difference: float = 0.0
    reason: str = ""
