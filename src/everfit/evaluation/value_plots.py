"""Pictures of a regression model on test rows: predicted against actual, and what is left over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from everfit.evaluation.canvas import COLOURS, QUIET
from everfit.evaluation.metrics import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DOTS = 1_500  # above it dots hide each other, and hexagons show how many there are


def draw_predictions(figure: Figure, y: NDArray[Any], scores: Floats) -> None:
    """Predicted against actual values, with the line of equality."""
    axes = figure.subplots()
    low, high = float(min(y.min(), scores.min())), float(max(y.max(), scores.max()))
    edge = 0.03 * (high - low) or 1.0
    axes.set(title="Predicted and actual values", xlabel="Actual value", ylabel="Predicted value")
    axes.set(xlim=(low - edge, high + edge), ylim=(low - edge, high + edge))
    _cloud(figure, axes, y, scores)
    axes.plot([low, high], [low, high], color=COLOURS[1], linewidth=1.6, label="predicted = actual")
    axes.legend(loc="upper left")


def draw_residuals(figure: Figure, y: NDArray[Any], scores: Floats) -> None:
    """Residuals (actual minus predicted) against predicted values, and how they are spread."""
    residuals = y - scores
    axes, side = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    axes.set(title="Residuals", xlabel="Predicted value", ylabel="Actual minus predicted value")
    _cloud(figure, axes, scores, residuals, side)
    axes.axhline(0, color=COLOURS[1], linewidth=1.6)
    side.hist(residuals, bins=30, orientation="horizontal", color=COLOURS[5])
    side.axhline(0, color=COLOURS[1], linewidth=1.6)
    side.set_xlabel("Rows")
    side.tick_params(axis="y", length=0)
    side.locator_params(axis="x", nbins=2)


def _cloud(figure: Figure, axes: Axes, x: Floats, y: Floats, *more: Axes) -> None:
    axes.grid(visible=True)
    axes.locator_params(nbins=6)
    if len(x) <= _DOTS or not np.ptp(x) or not np.ptp(y):
        axes.scatter(x, y, s=22, color=COLOURS[0], alpha=0.45, linewidths=0)
        return
    cells = axes.hexbin(x, y, gridsize=45, mincnt=1, bins="log", cmap="Blues", linewidths=0.1, edgecolors=QUIET)
    bar = figure.colorbar(cells, ax=[axes, *more], fraction=0.04, format=lambda count, _: f"{count:,.0f}")
    bar.set_label("Rows")
    bar.outline.set_visible(False)
