"""Whether a file is UTF-8 text in lines of a sane length, found in one streaming pass."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field

from everfit.errors import SourceError

# In bytes; also the size of the blocks that are read.
LONGEST_LINE = 1_000_000


def error_at(where: str, line: int, what: str, fix: str) -> SourceError:
    """The error at a line of the file, counted from 1.

    >>> error_at("t.csv", 3, "is blank", "remove the line").where
    't.csv, line 3'
    """
    return SourceError(what, where=f"{where}, line {line}", fix=fix)


@dataclass(slots=True)
class TextScan:
    """Refuses bytes that are no text, and lines that do not end."""

    where: str
    decoder: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("utf-8"))
    lines: int = 0  # ended before this block
    tail: int = 0  # bytes since the last line break
    offset: int = 0  # bytes before this block

    def take(self, block: bytes) -> None:
        """The next bytes of the file. Raises SourceError."""
        if (at := block.find(b"\0")) >= 0:
            raise self._at(block, at, "holds a zero byte: it is binary, not CSV", "export the table as CSV")
        self._decode(block, final=False)
        first = block.find(b"\n")
        self.tail += len(block) if first < 0 else first
        if self.tail > LONGEST_LINE:
            what = f"the line is longer than {LONGEST_LINE:,} bytes"
            raise self._at(block, 0, what, "write one row a line, ended by a line feed")
        if first >= 0:
            self.tail = len(block) - block.rfind(b"\n") - 1
        self.lines += block.count(b"\n")
        self.offset += len(block)

    def finish(self) -> None:
        """Refuses a file that ends within a character."""
        self._decode(b"", final=True)

    def _decode(self, block: bytes, final: bool) -> None:
        pending = len(self.decoder.getstate()[0])
        try:
            self.decoder.decode(block, final)
        except UnicodeDecodeError as error:
            # Negative where the character began in the block before.
            at = error.start - pending
            bad = error.object[error.start]
            what = f"byte {self.offset + at + 1} of the file (0x{bad:02x}) is not UTF-8"
            raise self._at(block, max(0, at), what, "save the file as UTF-8") from error

    def _at(self, block: bytes, at: int, what: str, fix: str) -> SourceError:
        return error_at(self.where, self.lines + block.count(b"\n", 0, at) + 1, what, fix)
