"""Records as lines of JSON in blocks: a block is what was written at once, ended by a line with its checksum.

    {"id":"01a1...","time":"2026-11-03T10:00:00Z",...}
    {"ids":["01a2...","01a3...",...],...}
    {"crc32":2309411,"records":2}

A line that begins with its ids holds the records of rows that came together, a list a column.

A block without its last line was torn by a crash before anybody was answered, and is passed over. A block that has
one and does not agree with it was damaged later, and is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import msgspec
import numpy as np

from everfit.errors import StorageError
from everfit.records.prediction import Logged, PredictionBatch

_SEAL = b'{"crc32":'
_MANY = b'{"ids":'
_batch = msgspec.json.Decoder(PredictionBatch)


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that were written at once: `text` without the seal, the number of its first line, where it ends."""

    text: bytes
    line: int
    end: int


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a prediction record cannot hold a {type(value).__name__}")


_lines = msgspec.json.Encoder(enc_hook=_plain).encode_lines


def encode(records: Sequence[Logged]) -> bytes:
    """The records as one block.

    >>> from datetime import UTC, datetime
    >>> from everfit.records.prediction import PredictionRecord
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> one = PredictionRecord("a", noon, None, {"x": 1}, {}, "champion", 3, 0.5, "No", 0.001)
    >>> encode([one]).splitlines()[1]
    b'{"crc32":566350173,"records":1}'
    """
    text = _lines(records)
    return text + _seal(crc32(text), len(records))


def _seal(checksum: int, records: int) -> bytes:
    return b'%b%d,"records":%d}\n' % (_SEAL, checksum, records)


def blocks(file: BinaryIO, path: Path) -> Iterator[Block]:
    """The whole blocks of a segment, one at a time. Raises StorageError at a damaged one."""
    lines: list[bytes] = []
    first, end = 1, 0
    for number, line in enumerate(file, start=1):
        if not line.startswith(_SEAL):
            lines.append(line)
            continue
        if not line.endswith(b"\n"):
            return
        text = b"".join(lines)
        if line != _seal(crc32(text), len(lines)):
            raise _damaged(path, first)
        end += len(text) + len(line)
        yield Block(text, first, end)
        lines, first = [], number + 1


def plain(file: BinaryIO, path: Path, lines: int = 1000) -> Iterator[Block]:
    """The lines of a file without checksums, as blocks of so many; a torn last line is passed over."""
    first, end, held = 1, 0, list[bytes]()
    for number, line in enumerate(file, start=1):
        if line.endswith(b"\n"):
            held.append(line)
        if len(held) == lines or not line.endswith(b"\n"):
            break_at = b"".join(held)
            end += len(break_at)
            yield Block(break_at, first, end)
            first, held = number + 1, []
    if held:
        yield Block(b"".join(held), first, end + sum(map(len, held)))


def decode(block: Block, decoder: msgspec.json.Decoder[Any], path: Path) -> Sequence[Any]:
    """The block's lines by a decoder of a record's line, and those of batches as batches. Raises StorageError naming
    the line that is neither."""
    try:
        if not block.text.startswith(_MANY) and b"\n" + _MANY not in block.text:
            return decoder.decode_lines(block.text)
        return [_line(line, decoder) for line in block.text.splitlines()]
    except msgspec.MsgspecError as error:
        for number, line in enumerate(block.text.splitlines(), start=block.line):
            try:
                _line(line, decoder)
            except msgspec.MsgspecError:
                raise _damaged(path, number) from error
        raise _damaged(path, block.line) from error


def _line(line: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    return (_batch if line.startswith(_MANY) else decoder).decode(line)


def whole(path: Path) -> int:
    """How many bytes of a segment are whole blocks."""
    with path.open("rb") as file:
        return max((block.end for block in blocks(file, path)), default=0)


def _damaged(path: Path, line: int) -> StorageError:
    return StorageError(
        "what stands here is not what was written",
        where=f"{path}:{line}",
        fix="restore the file from a backup, or remove it: its predictions are then missing from every look",
    )
