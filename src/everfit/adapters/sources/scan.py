"""One streaming pass over a CSV file that finds, by line, what a fast reader would stumble over or silently mend.

It holds a block of a megabyte and a few arrays of its size, whatever the size of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from everfit.adapters.sources.encoding import LONGEST_LINE, TextScan, error_at
from everfit.adapters.sources.quoting import NEWLINE, Flags, Indices, Quoting

_RETURN = ord("\r")


def scan(path: Path, separator: str, columns: int) -> int:
    """The number of rows below the header; blank lines at the end are not counted.

    Raises SourceError with the line for bytes that are not UTF-8 or not text, a line longer than a megabyte, a row of
    more or fewer than `columns` values, a blank line between rows (a missing value where there is one column only), a
    quote inside an unquoted value and a quote that is never closed.
    """
    text, records = TextScan(str(path)), _Records(Quoting(str(path), ord(separator)), columns)
    with path.open("rb") as file:
        while block := file.read(LONGEST_LINE):
            text.take(block)
            records.take(block)
    text.finish()
    return records.finish()


@dataclass(slots=True)
class _Records:
    """Counts the values of each record; what is unfinished at the end of a block is carried over."""

    quoting: Quoting
    columns: int
    begun: int = 0  # separators of the unfinished record
    length: int = 0  # its bytes
    rows: int = 0  # records so far, the header among them
    blanks: int = 0  # blank records since the last full one
    blank_from: int = 0  # the line of the first of them

    def take(self, block: bytes) -> None:
        """The next bytes of the file. Raises SourceError."""
        data = np.frombuffer(block, dtype=np.uint8)
        newline, separator = data == NEWLINE, data == self.quoting.separator
        breaks = np.flatnonzero(newline)
        outside = self.quoting.outside(data, breaks)
        if outside is not None:
            newline, separator = newline & outside, separator & outside
        self._measure(data, np.flatnonzero(newline), np.flatnonzero(separator), breaks)
        self.quoting.end_block(data, breaks)

    def finish(self) -> int:
        """Ends the last record where the file lacks a final line break, and counts the rows."""
        self.quoting.finish()
        if self.length:
            self._judge(np.array([self.begun]), np.array([False]), np.array([self.quoting.lines + 1]))
        return self.rows - 1

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
        before = np.where(ends > 0, data[ends - 1], self.quoting.last)
        lengths -= (lengths > 0) & (before == _RETURN)
        self.begun = len(separators) - int(upto[-1])
        self.length = len(data) - int(ends[-1]) - 1
        self._judge(counts, lengths == 0, self.quoting.lines + np.searchsorted(breaks, ends) + 1)

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
            raise error_at(self.quoting.where, blank, "is blank", "remove the line")
        if len(wrong):
            found = int(counts[wrong[0]]) + 1
            what = f"has {found} value{'s' * (found != 1)} where the header has {self.columns}"
            fix = "quote values that hold the separator, or complete the row"
            raise error_at(self.quoting.where, int(lines[wrong[0]]), what, fix)
