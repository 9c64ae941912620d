"""The pictures of an evaluation, by file name, as PNG bytes: equal inputs give equal bytes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from everfit.evaluation.canvas import COLOURS, note, png, short
from everfit.evaluation.class_plots import draw_calibration, draw_confusion, draw_roc
from everfit.evaluation.metrics import Floats, check_scores, predicted
from everfit.evaluation.value_plots import draw_predictions, draw_residuals
from everfit.records.model import Importance
from everfit.records.table import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TOP = 10


def pictures(
    task: Task,
    y: NDArray[Any],
    scores: Floats,
    classes: tuple[str, ...],
    importance: tuple[Importance, ...],
    threshold: float = 0.5,
) -> dict[str, bytes]:
    """PNG files of 800 x 600 by name, from the same `y` and `scores` as the metrics.

    Classification: confusion_matrix.png, roc_curve.png, calibration.png; regression: predicted_vs_actual.png,
    residuals.png; always feature_importance.png, the ten greatest. StepFailed for scores that do not fit the rows.

    >>> import numpy as np
    >>> sorted(pictures(Task.REGRESSION, np.arange(9.0), np.arange(9.0) + 1, (), (Importance("age", 0.2),)))
    ['feature_importance.png', 'predicted_vs_actual.png', 'residuals.png']
    """
    check_scores(task, y, scores, classes)
    importance_png = {"feature_importance.png": png(partial(draw_importance, importance=importance))}
    if task is Task.REGRESSION:
        return importance_png | {
            "predicted_vs_actual.png": png(partial(draw_predictions, y=y, scores=scores)),
            "residuals.png": png(partial(draw_residuals, y=y, scores=scores)),
        }
    labels = predicted(scores, task, threshold)
    return importance_png | {
        "confusion_matrix.png": png(partial(draw_confusion, y=y, labels=labels, classes=classes)),
        "roc_curve.png": png(partial(draw_roc, y=y, scores=scores, classes=classes, threshold=threshold)),
        "calibration.png": png(partial(draw_calibration, y=y, scores=scores, classes=classes)),
    }


def draw_importance(figure: Figure, importance: tuple[Importance, ...]) -> None:
    """The ten features without which the score falls most, the greatest on top."""
    axes = figure.subplots()
    top = sorted(importance, key=lambda each: (-each.value, each.feature))[:_TOP]
    axes.set_title(
        f"Feature importance, top {_TOP} of {len(importance)}" if len(importance) > _TOP else "Feature importance"
    )
    axes.set_xlabel("Fall of the test score when the feature's values are shuffled")
    if not top:
        return note(axes, "No feature was measured")
    bars = axes.barh([short(each.feature) for each in top], [each.value for each in top], color=COLOURS[0], height=0.7)
    axes.bar_label(bars, [f"{each.value:.3g}" for each in top], padding=4, fontsize=10)
    axes.set_ylim(max(len(top), 6) - 0.4, -0.6)
    axes.margins(x=0.12)
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color="#BBBBBB", linewidth=1)
    return None
