"""A column's distribution then and now, small enough to travel with an alarm and to be drawn anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_BLOCKS = "·▁▂▃▄▅▆▇█"


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

    def sketch(self) -> tuple[str, str]:
        """The bars then and now in one line of text each, to one scale: for messages that hold no pictures.

        >>> Shape("age", ("1", "2", "3"), (0.0, 0.25, 0.5), (0.5, 0.25, 0.0)).sketch()
        ('·▄█', '█▄·')
        """
        top = max((*self.then, *self.now), default=0.0)
        return _bars(self.then, top), _bars(self.now, top)


def _bars(shares: Sequence[float], top: float) -> str:
    last = len(_BLOCKS) - 1
    # What is there at all is shown.
    return "".join(_BLOCKS[max(round(last * share / top), 1) if share and top else 0] for share in shares)
