"""A distribution in one line of text, for messages that hold no pictures."""

from __future__ import annotations

from collections.abc import Sequence

from everfit.records.shape import Shape

_BLOCKS = " ▁▂▃▄▅▆▇█"


def sketch(shape: Shape) -> tuple[str, str]:
    """The bars then and now, to one scale, one character a bin.

    >>> sketch(Shape("age", ("1", "2", "3"), (0.0, 0.25, 0.5), (0.5, 0.25, 0.0)))
    (' ▄█', '█▄ ')
    """
    top = max((*shape.then, *shape.now), default=0.0)
    return _bars(shape.then, top), _bars(shape.now, top)


def _bars(shares: Sequence[float], top: float) -> str:
    last = len(_BLOCKS) - 1
    # What is there at all is shown.
    return "".join(_BLOCKS[max(round(last * share / top), 1) if share and top else 0] for share in shares)
