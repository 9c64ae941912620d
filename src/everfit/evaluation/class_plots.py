"""Pictures of a classifier on test rows: confusion matrix, ROC curve, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from everfit.evaluation.canvas import COLOURS, QUIET, note, short
from everfit.evaluation.losses import BINS, bins
from everfit.evaluation.metrics import Floats, area_under_roc, confusion, predicted
from everfit.records.table import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 800  # more steps of a curve than the picture has pixels would not be seen


def draw_confusion(figure: Figure, y: NDArray[Any], labels: NDArray[Any], classes: tuple[str, ...]) -> None:
    """Counts by actual and predicted class, shaded by the share of the actual class's rows."""
    table = confusion(y, labels, len(classes))
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_title("Confusion matrix")
    axes.set_xlabel("Predicted class")
    axes.set_ylabel("Actual class")
    _class_ticks(axes, classes)
    if len(classes) <= 20:
        _cell_texts(axes, table, shares)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, fraction=0.045, format=lambda share, _: f"{share:.0%}")
    bar.set_label("Share of the actual class's rows")
    bar.outline.set_visible(False)


def draw_roc(figure: Figure, y: NDArray[Any], scores: Floats, classes: tuple[str, ...], threshold: float) -> None:
    """The ROC curve of the positive class with the point of the threshold; several classes: each against the rest."""
    axes = figure.subplots()
    axes.set_title("ROC curve" if len(classes) == 2 else "ROC curves, each class against the rest")
    axes.set_xlabel("False positive rate")
    axes.set_ylabel("True positive rate")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.grid(visible=True)
    shown = _curves(y, classes)
    if not shown:
        return note(axes, "Not defined: all test rows are of one class")
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle=(0, (4, 3)), linewidth=1.3)
    for place, index in enumerate(shown):
        name, score = short(classes[index]), scores[:, index]
        area = area_under_roc(y == index, score)
        axes.plot(*_roc(y == index, score), color=_colour(place), label=f"{area:.3f}  {name}", zorder=20 - place)
    if len(classes) == 2:
        _mark(axes, y, scores, threshold)
    axes.legend(loc="lower right", title=_legend_title(classes, shown), alignment="left")
    return None


def draw_calibration(figure: Figure, y: NDArray[Any], scores: Floats, classes: tuple[str, ...]) -> None:
    """Stated against observed share in ten bins of equal width, with the rows in each.

    Binary: of the positive class; several classes: of the predicted class (Guo et al. 2017).
    """
    binary = len(classes) == 2
    stated = scores[:, 1] if binary else scores.max(axis=1)
    happened = y == (1 if binary else scores.argmax(axis=1))
    place = bins(stated)
    rows = np.bincount(place, minlength=BINS)
    used = rows > 0
    said = np.bincount(place, stated, BINS)[used] / rows[used]
    seen = np.bincount(place, happened, BINS)[used] / rows[used]
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    upper.plot([0, 1], [0, 1], color=QUIET, linestyle=(0, (4, 3)), linewidth=1.3, label="perfectly calibrated")
    bounds = _wilson(seen, rows[used])
    upper.errorbar(said, seen, yerr=bounds, color=COLOURS[0], marker="o", markersize=7, capsize=3, elinewidth=1.3)
    upper.plot([], [], color=COLOURS[0], marker="o", label="model, with 95% intervals")
    upper.set(title="Calibration", ylabel="Observed share", ylim=(-0.02, 1.02), xlim=(-0.01, 1.01))
    upper.legend(loc="upper left")
    upper.grid(visible=True)
    of_what = f"Predicted probability of {short(classes[1])!r}" if binary else "Probability of the predicted class"
    _counts(lower, rows)
    lower.set(xlabel=of_what, ylabel="Rows")


def _wilson(share: Floats, rows: NDArray[np.int64]) -> Floats:
    """How far Wilson's 95% interval (1927) reaches below and above each share, (2, shares)."""
    z2 = 1.96**2 / rows
    middle = (share + z2 / 2) / (1 + z2)
    half = np.sqrt(share * (1 - share) * z2 + z2**2 / 4) / (1 + z2)
    reach: Floats = np.maximum(np.vstack([share - (middle - half), middle + half - share]), 0)
    return reach


def _counts(axes: Axes, rows: NDArray[np.int64]) -> None:
    middles = (np.arange(BINS) + 0.5) / BINS
    bars = axes.bar(middles, rows, width=0.9 / BINS, color=COLOURS[5])
    axes.bar_label(bars, [f"{count:,}" if count else "" for count in rows], fontsize=9, padding=1)
    axes.set_ylim(0, rows.max() * 1.25)
    axes.yaxis.set_major_locator(_few_ticks())
    axes.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=3, integer=True)


def _class_ticks(axes: Axes, classes: tuple[str, ...]) -> None:
    names = [short(name, 16) for name in classes]
    step = -(-len(classes) // 40)
    size = 11 if len(classes) <= 10 else 8
    places = list(range(0, len(classes), step))
    turned = len(classes) > 4 and max(map(len, names)) > 6
    axes.set_xticks(
        places, names[::step], fontsize=size, rotation=45 if turned else 0, ha="right" if turned else "center"
    )
    axes.set_yticks(places, names[::step], fontsize=size)
    axes.tick_params(length=0)


def _cell_texts(axes: Axes, table: NDArray[np.int64], shares: Floats) -> None:
    few = len(table) <= 8
    size = 16 if len(table) == 2 else 12 if len(table) <= 5 else 9 if few else 7
    for (row, column), count in np.ndenumerate(table):
        share = shares[row, column]
        text = f"{count:,}\n{share:.1%}" if few else f"{share:.0%}"
        axes.text(
            column, row, text, ha="center", va="center", fontsize=size, color="white" if share > 0.65 else "#333333"
        )


def _curves(y: NDArray[Any], classes: tuple[str, ...]) -> list[int]:
    """The classes to draw: the positive one, or the most frequent that occur; none where one class is all there is."""
    rows = np.bincount(y, minlength=len(classes))
    if (rows > 0).sum() < 2:
        return []
    if len(classes) == 2:
        return [1]
    order = np.argsort(-rows, kind="stable")
    return [int(index) for index in order if rows[index]][: len(COLOURS)]


def _legend_title(classes: tuple[str, ...], shown: list[int]) -> str:
    left_out = 0 if len(classes) == 2 else len(classes) - len(shown)
    return "AUC  class" + (f"  ({left_out} more not drawn)" if left_out else "")


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _roc(positive: NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """False and true positive rates at each distinct score, from (0, 0) to (1, 1)."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    ends = ends[np.linspace(0, len(ends) - 1, min(len(ends), _POINTS)).astype(np.int64)]
    hits = np.cumsum(positive[order])[ends]
    false = ends + 1 - hits
    return np.append(0.0, false / (~positive).sum()), np.append(0.0, hits / positive.sum())


def _mark(axes: Axes, y: NDArray[Any], scores: Floats, threshold: float) -> None:
    table = confusion(y, predicted(scores, Task.BINARY, threshold), 2)
    false, true = table[:, 1] / table.sum(axis=1)
    axes.plot(false, true, "o", color=COLOURS[1], markersize=9, zorder=30)
    axes.annotate(f"threshold {threshold:g}", (false, true), (12, -16), textcoords="offset points", color=COLOURS[1])
