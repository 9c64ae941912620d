"""The classification report as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from everfit.evaluation.metrics import by_class, confusion


def classification_report(y: NDArray[Any], predicted: NDArray[Any], classes: tuple[str, ...]) -> str:
    """Precision, recall, f1 and rows of each class, with accuracy, macro and weighted means, as a text table.

    `y` and `predicted` are (rows,) class indices. Macro means are over the classes that occur in `y`.

    >>> import numpy as np
    >>> print(classification_report(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), ("No", "Yes")))
                  precision    recall        f1      rows
    No                1.000     0.500     0.667         2
    Yes               0.667     1.000     0.800         2
    <BLANKLINE>
    accuracy                              0.750         4
    macro mean        0.833     0.750     0.733         4
    weighted mean     0.833     0.750     0.733         4
    """
    table = confusion(y, predicted, len(classes))
    values, support = by_class(table), table.sum(axis=1)
    rows, present = int(support.sum()), support > 0
    if not rows:
        return "no rows"
    wide = max([13, *map(len, classes)])
    lines = [" " * wide + "".join(f"{name:>10}" for name in ("precision"[:10], "recall", "f1", "rows"))]
    for index, name in enumerate(classes):
        lines.append(_report_line(name, wide, [each[index] for each in values.values()], int(support[index])))
    lines += ["", f"{'accuracy':<{wide}}{'':>20}{table.trace() / rows:>10.3f}{rows:>10,}"]
    lines.append(_report_line("macro mean", wide, [each[present].mean() for each in values.values()], rows))
    lines.append(_report_line("weighted mean", wide, [each @ support / rows for each in values.values()], rows))
    return "\n".join(lines)


def _report_line(name: str, wide: int, figures: Iterable[float], rows: int) -> str:
    return f"{name:<{wide}}" + "".join(f"{figure:>10.3f}" for figure in figures) + f"{rows:>10,}"
