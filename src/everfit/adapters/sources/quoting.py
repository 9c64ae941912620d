"""Which bytes of a CSV file lie outside of quotes, block by block, and on which line a byte lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from everfit.adapters.sources.encoding import error_at

NEWLINE, _QUOTE = ord("\n"), ord('"')
_BOM = 3

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(slots=True)
class Quoting:
    """Follows the quotes through the file; what is open at the end of a block is carried over."""

    where: str
    separator: int
    lines: int = 0  # ended before this block
    offset: int = 0  # bytes before this block
    last: int = NEWLINE  # the byte before this block
    quoted: bool = False
    quoted_from: int = 0  # the line where the open quote began

    def outside(self, data: NDArray[np.uint8], breaks: Indices) -> Flags | None:
        """True for the bytes outside of quotes, None when all are; a doubled quote closes and opens again. `breaks`
        are the places of the line breaks. Raises SourceError for a quote inside an unquoted value."""
        quote = data == _QUOTE
        if not self.quoted and not quote.any():
            return None
        opening = np.flatnonzero(quote)[int(self.quoted) :: 2]
        self._refuse_stray(data, opening, breaks)
        inside = (np.cumsum(quote, dtype=np.int64) + int(self.quoted)) % 2 == 1
        if inside[-1] and len(opening):
            self.quoted_from = self.line(breaks, opening[-1])
        self.quoted = bool(inside[-1])
        outside: Flags = ~inside
        return outside

    def line(self, breaks: Indices, at: int) -> int:
        """The line, from 1, of the byte at that place of the block."""
        return self.lines + int(np.searchsorted(breaks, at)) + 1

    def end_block(self, data: NDArray[np.uint8], breaks: Indices) -> None:
        """Moves on behind the block."""
        self.lines += len(breaks)
        self.offset += len(data)
        self.last = int(data[-1])

    def finish(self) -> None:
        """Raises SourceError when a quote is still open."""
        if self.quoted:
            what = "a quote opens here and is never closed"
            raise error_at(self.where, self.quoted_from, what, "close it, or remove it")

    def _refuse_stray(self, data: NDArray[np.uint8], opening: Indices, breaks: Indices) -> None:
        before = np.where(opening > 0, data[opening - 1], self.last)
        at_start = np.isin(before, (NEWLINE, self.separator, _QUOTE)) | (opening + self.offset == _BOM)
        stray = opening[~at_start]
        if len(stray):
            fix = 'quote the whole value and double the quote in it: "5"" pipe"'
            raise error_at(self.where, self.line(breaks, stray[0]), "a quote stands inside a value", fix)
