"""The ids of predictions."""

from __future__ import annotations

import os
import re
import secrets
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id(moment: datetime) -> str:
    """A UUID of version 7 (RFC 9562, 5.7): ids sort by time, which keeps an index of them compact. They cannot be
    guessed: who knows one may label its prediction.

    >>> new_id(datetime.fromisoformat("2026-11-03T10:00:00+00:00"))[:15]
    '01a1a0d9-f100-7'
    """
    return _prefix(moment) + _unguessable()


def new_ids(moment: datetime, count: int) -> list[str]:
    """So many of them at once, of one moment."""
    prefix = _prefix(moment)
    return [prefix + _unguessable() for _ in range(count)]


def made_at(identity: str) -> datetime | None:
    """When an id was made, to the millisecond; None for one that was not made by `new_id`.

    >>> made_at(new_id(datetime.fromisoformat("2026-11-03T10:00:00.5+00:00"))).isoformat()
    '2026-11-03T10:00:00.500000+00:00'
    >>> made_at("order-7")
    """
    if _ID.fullmatch(identity) is None:
        return None
    return datetime.fromtimestamp(int(identity[:8] + identity[9:13], 16) / 1000, UTC)


def _prefix(moment: datetime) -> str:
    return _prefix_of(int(moment.timestamp() * 1000))


@lru_cache(maxsize=8)
def _prefix_of(milliseconds: int) -> str:
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}-"


def _unguessable() -> str:
    try:
        return _random.pop()
    except IndexError:
        _refill()
        return _random.pop()


# The random parts of the next ids: asking the system for each takes longer than a prediction.
_random: list[str] = []
_REFILL = 512
_PART, _VARIANTS = b"7...-....-............", np.frombuffer(b"89ab", dtype=np.uint8)


def _refill() -> None:
    digits = np.frombuffer(secrets.token_hex(10 * _REFILL).encode(), dtype=np.uint8).reshape(_REFILL, 20)
    parts = np.empty((_REFILL, len(_PART)), dtype=np.uint8)
    parts[:] = np.frombuffer(_PART, dtype=np.uint8)
    parts[:, 1:4], parts[:, 6:9], parts[:, 10:] = digits[:, :3], digits[:, 4:7], digits[:, 7:19]
    parts[:, 5] = _VARIANTS[digits[:, 3] & 3]
    text = parts.tobytes().decode()
    _random.extend([text[i : i + len(_PART)] for i in range(0, len(text), len(_PART))])


# A fork must not give out its parent's ids.
os.register_at_fork(after_in_child=_random.clear)
