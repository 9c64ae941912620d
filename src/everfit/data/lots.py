"""A lot for each row, drawn from what the row is and not from where it stands.

The same row draws the same lot in a longer, shorter or reordered table, so that what was held out once stays held out
as the table grows, and a champion is never judged on rows that it learned from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

Words = NDArray[np.uint64]

# What is longer is told apart well enough by its beginning.
_CHARACTERS = 64
# Rows that draw at a time: their text takes more room than their lots.
_SLICE = 1 << 17


def lots(frame: pl.DataFrame, key: str | None, seed: int) -> NDArray[np.float64]:
    """(rows,) uniform numbers in [0, 1): a hash of the column `key`, or of the whole row, and of the seed.

    Rows with equal keys draw equal lots. The hash is the finaliser of SplitMix64 (Steele, Lea and Flood 2014,
    OOPSLA) folded over 8-byte words; it is defined here, so no library's next version changes it.

    >>> table = pl.DataFrame({"id": ["a", "b", "a"]})
    >>> drawn = lots(table, "id", seed=1)
    >>> drawn[0] == drawn[2], drawn[0] == lots(table[2:], "id", seed=1)[0]
    (np.True_, np.True_)
    """
    names = [key] if key else sorted(frame.columns)
    pieces = [_lots(piece, names, seed) for piece in frame.select(names).iter_slices(_SLICE)]
    return np.concatenate([np.empty(0), *pieces])


def _lots(frame: pl.DataFrame, names: Sequence[str], seed: int) -> NDArray[np.float64]:
    state = np.full(frame.height, seed, dtype=np.uint64)
    for name in names:
        state = _mixed(state)
        for word in _words(frame[name]).T:
            # The empty words behind a short text change nothing, so the longest text of the table does not matter.
            state = np.where(word == 0, state, _mixed(state ^ word))
    return (_mixed(state) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _words(series: pl.Series) -> Words:
    """(rows, words) the value's bytes: one word for a number, up to 64 characters for a text."""
    if series.dtype.is_numeric() or series.dtype == pl.Boolean:
        numbers = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
        return (numbers + 0.0).astype("<f8").view("<u8").reshape(-1, 1) + np.uint64(1)
    text = series.cast(pl.String).fill_null("\0").str.slice(0, _CHARACTERS)
    encoded = np.char.encode(np.asarray(text.to_list(), dtype=np.str_), "utf-8")
    width = -(-max(encoded.dtype.itemsize, 1) // 8) * 8
    words: Words = np.frombuffer(encoded.astype(f"S{width}").tobytes(), dtype="<u8").reshape(len(encoded), width // 8)
    return words


def _mixed(state: Words) -> Words:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
