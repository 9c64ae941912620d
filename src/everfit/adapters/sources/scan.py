"""One streaming pass over a CSV file that finds, by line, what a fast reader would stumble over or silently mend.

It holds a block of a megabyte and a few arrays of its size, whatever the size of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from everfit.adapters.sources.encoding import LONGEST_LINE, TextScan, error_at

_NEWLINE, _QUOTE, _RETURN = (ord(sign) for sign in '\n"\r')
_BOM = 3

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


def scan(path: Path, separator: str, columns: int) -> int:
    """The number of rows below the header; blank lines at the end are not counted.

    Raises SourceError with the line for bytes that are not UTF-8 or not text, a line longer than a megabyte, a row of
    more or fewer than `columns` values, a blank line between rows (a missing value where there is one column only), a
    quote inside an unquoted value and a quote that is never closed.
    """
    text, records = TextScan(str(path)), _Records(str(path), ord(separator), columns)
    with path.open("rb") as file:
        while block := file.read(LONGEST_LINE):
            text.take(block)
            records.take(block)
    text.finish()
    return records.finish()


@dataclass(slots=True)
class _Records:
    """Counts the values of each record; what is unfinished at the end of a block is carried over."""

    where: str
    separator: int
    columns: int
    lines: int = 0  # ended before this block
    offset: int = 0  # bytes before this block
    last: int = _NEWLINE  # the byte before this block
    quoted: bool = False
    quoted_from: int = 0  # the line where the open quote began
    begun: int = 0  # separators of the unfinished record
    length: int = 0  # its bytes
    rows: int = 0  # records so far, the header among them
    blanks: int = 0  # blank records since the last full one
    blank_from: int = 0  # the line of the first of them

    def take(self, block: bytes) -> None:
        """The next bytes of the file. Raises SourceError."""
        data = np.frombuffer(block, dtype=np.uint8)
        newline, separator = data == _NEWLINE, data == self.separator
        breaks = np.flatnonzero(newline)
        if self.quoted or b'"' in block:
            outside = self._outside(data, breaks)
            newline, separator = newline & outside, separator & outside
        self._measure(data, np.flatnonzero(newline), np.flatnonzero(separator), breaks)
        self.lines += len(breaks)
        self.offset += len(block)
        self.last = block[-1]

    def _outside(self, data: NDArray[np.uint8], breaks: Indices) -> Flags:
        """True for the bytes outside of quotes; a doubled quote closes and opens again."""
        quote = data == _QUOTE
        opening = np.flatnonzero(quote)[int(self.quoted) :: 2]
        self._refuse_stray(data, opening, breaks)
        inside = (np.cumsum(quote, dtype=np.int64) + int(self.quoted)) % 2 == 1
        if inside[-1] and len(opening):
            self.quoted_from = self._line(breaks, opening[-1])
        self.quoted = bool(inside[-1])
        outside: Flags = ~inside
        return outside

    def _refuse_stray(self, data: NDArray[np.uint8], opening: Indices, breaks: Indices) -> None:
        before = np.where(opening > 0, data[opening - 1], self.last)
        at_start = np.isin(before, (_NEWLINE, self.separator, _QUOTE)) | (opening + self.offset == _BOM)
        stray = opening[~at_start]
        if len(stray):
            fix = 'quote the whole value and double the quote in it: "5"" pipe"'
            raise error_at(self.where, self._line(breaks, stray[0]), "a quote stands inside a value", fix)

    def _line(self, breaks: Indices, at: int) -> int:
        return self.lines + int(np.searchsorted(breaks, at)) + 1

    def _measure(self, data: NDArray[np.uint8], ends: Indices, separators: Indices, breaks: Indices) -> None:
        """Separators and bytes of each record that ends in the block."""
        if not len(ends):
            self.begun += len(separators)
            self.length += len(data)
            return
        upto = np.searchsorted(separators, ends)
        counts, lengths = np.diff(upto, prepend=0), np.diff(ends, prepend=-1) - 1
        counts[0] += self.begun
        lengths[0] += self.length
        before = np.where(ends > 0, data[ends - 1], self.last)
        lengths -= (lengths > 0) & (before == _RETURN)
        self.begun = len(separators) - int(upto[-1])
        self.length = len(data) - int(ends[-1]) - 1
        self._judge(counts, lengths == 0, self.lines + np.searchsorted(breaks, ends) + 1)

    def _judge(self, counts: Indices, blank: Flags, lines: Indices) -> None:
        """Blank records at the end wait: only a full one behind them makes them rows, or an error."""
        full, gaps = np.flatnonzero(~blank), np.flatnonzero(blank)
        trailing = gaps[gaps > full[-1]] if len(full) else gaps
        if len(full):
            between = gaps[: len(gaps) - len(trailing)]
            self._refuse(counts, full, between, lines)
            self.rows += len(full) + len(between) + self.blanks
            self.blanks = 0
        if len(trailing) and not self.blanks:
            self.blank_from = int(lines[trailing[0]])
        self.blanks += len(trailing)

    def _refuse(self, counts: Indices, full: Indices, between: Indices, lines: Indices) -> None:
        """The first record with another number of values, or the first blank line between records."""
        if self.columns > 1:
            blank = self.blank_from if self.blanks else int(lines[between[0]]) if len(between) else None
        else:
            blank = None
        wrong = full[counts[full] != self.columns - 1]
        if blank is not None and not (len(wrong) and lines[wrong[0]] < blank):
            raise error_at(self.where, blank, "is blank", "remove the line")
        if len(wrong):
            found = int(counts[wrong[0]]) + 1
            what = f"has {found} value{'s' * (found != 1)} where the header has {self.columns}"
            fix = "quote values that hold the separator, or complete the row"
            raise error_at(self.where, int(lines[wrong[0]]), what, fix)

    def finish(self) -> int:
        """Ends the last record where the file lacks a final line break, and counts the rows."""
        if self.quoted:
            what = "a quote opens here and is never closed"
            raise error_at(self.where, self.quoted_from, what, "close it, or remove it")
        if self.length:
            self._judge(np.array([self.begun]), np.array([False]), np.array([self.lines + 1]))
        return self.rows - 1
