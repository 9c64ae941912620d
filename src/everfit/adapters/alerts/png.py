"""A distribution as a PNG picture: what mail programs show, unlike SVG.

Own lines in place of a plotting library: the process that watches loads none, and three colours of bars need none.
"""

from __future__ import annotations

import struct
import zlib

from everfit.records.shape import Shape

_COLORS = ((255, 255, 255), (195, 204, 214), (11, 98, 184))  # ground, training, now
_THEN, _NOW = 1, 2
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(shape: Shape, width: int = 480, height: int = 120) -> bytes:
    """Training as wide grey bars, the window as slim blue ones before them, to one scale; what is missing comes last.

    >>> png(Shape("age", ("1", "2"), (0.5, 0.5), (1.0, 0.0)))[1:4]
    b'PNG'
    """
    then, now = (*shape.then, shape.missing_then), (*shape.now, shape.missing_now)
    rows = [bytearray(width) for _ in range(height)]
    top, step = max((*then, *now)) or 1.0, width / len(then)
    for shares, color, left, right in ((then, _THEN, 0.05, 0.95), (now, _NOW, 0.3, 0.7)):
        for place, share in enumerate(shares):
            first, last = int((place + left) * step), max(int((place + right) * step), int((place + left) * step) + 1)
            for row in rows[height - round(share / top * (height - 1)) :] if share else ():
                row[first:last] = bytes([color]) * (last - first)
    body = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    size = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits a pixel, by palette
    palette = bytes(part for color in _COLORS for part in color)
    return _SIGNATURE + _chunk(b"IHDR", size) + _chunk(b"PLTE", palette) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
