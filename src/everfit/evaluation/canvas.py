"""The paper that all pictures are drawn on: one size, one look, the same bytes for the same content."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008): told apart by colour-blind readers too. Yellow is left out, it is lost on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
QUIET = "#8C8C8C"
_INK = "#333333"

# A name may hold `$` and is no formula; the fonts are those that come with matplotlib.
_LOOK: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 11,
    "text.parse_math": False,
    "text.usetex": False,
    "text.color": _INK,
    "axes.titlesize": 14,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelsize": 12,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#BBBBBB",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "lines.linewidth": 2.2,
    "savefig.bbox": "standard",
    "savefig.facecolor": "auto",
}


def png(draw: Callable[[Figure], None]) -> bytes:
    """An 800 x 600 PNG of what `draw` puts on the figure; equal drawings give equal bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with mpl.rc_context(_LOOK), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box, and the picture is still of use.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
        figure = Figure(figsize=(8, 6), dpi=100, facecolor="white", layout=layout)
        FigureCanvasAgg(figure)
        draw(figure)
        out = BytesIO()
        # matplotlib's own version stays out of the file.
        figure.savefig(out, format="png", dpi=100, metadata={"Software": None})
    return out.getvalue()


def short(name: str, most: int = 24) -> str:
    """The name on one line, cut in the middle where it is longer than `most` characters.

    >>> short("average_revenue_per_user_and_month_in_euro")
    'average_reven…th_in_euro'
    """
    name = " ".join(name.split())
    return name if len(name) <= most else f"{name[: most // 2 + 1]}…{name[-(most // 2 - 2) :]}"


def note(axes: Axes, text: str) -> None:
    """Say in the middle of the axes why nothing is drawn there."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=12)
