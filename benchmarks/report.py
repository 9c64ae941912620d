"""How every benchmark reports: tables for people, and as its last line one JSON object for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

Cell = str | int | float | bool | None


def report(name: str, figure: float | str, goal: str, holds: bool) -> None:
    """Print the benchmark's last line: what was measured, the goal in words, and whether it is met.

    >>> report("churn_generator", 2.5e6, "1M rows in 5 s", True)
    {"name": "churn_generator", "figure": 2500000.0, "goal": "1M rows in 5 s", "holds": true}
    """
    print(json.dumps({"name": name, "figure": figure, "goal": goal, "holds": bool(holds)}), flush=True)


def table(headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print rows below their headers: text to the left, numbers to the right with thousands apart.

    >>> table(["rows", "what"], [[10000, "small"], [1000000, "large"]])
         rows  what
    ---------  -----
       10,000  small
    1,000,000  large
    """
    rows = [list(row) for row in rows]
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *texts, strict=True)]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(headers))]
    for line in [list(headers), ["-" * width for width in widths], *texts]:
        cells = zip(line, widths, right, strict=True)
        print("  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in cells).rstrip(), flush=True)


def _text(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:,.4g}" if abs(cell) < 1000 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)
