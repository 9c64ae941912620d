"""The identity of a table by content: what "the same data" means everywhere."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl

from everfit.data.reading import flat

# Bytes are hashed in slices of this many rows, so that memory stays small; the digest does not depend on it.
_SLICE = 1 << 17


def fingerprint(frame: pl.DataFrame) -> str:
    """SHA-256 over the column names, types and values in their order, as 64 hexadecimal digits.

    Independent of chunks, of the process, of the machine's byte order and of the file that the table came from, once
    it is conformed. The bytes hashed are defined here and not by a library's layout, so the digest stays the same
    from one version of polars to the next: name, type and row count; then the missing values as a bit mask, most
    significant bit first; then numbers as little-endian IEEE 754 or two's complement, 0 where missing (-0.0 as 0.0
    and one NaN), and text as all lengths in UTF-8 bytes, 4 bytes each, beside all the bytes.

    >>> fingerprint(pl.DataFrame({"a": [1.0, None]}))[:16]
    'd71b8124d8d9578b'
    >>> fingerprint(pl.DataFrame({"a": ["1"]})) == fingerprint(pl.DataFrame({"a": [1.0]}))
    False
    """
    table = hashlib.sha256(f"everfit table 1\n{frame.width} {frame.height}\n".encode())
    for name in frame.columns:
        table.update(_column(frame[name]))
    return table.hexdigest()


def _column(series: pl.Series) -> bytes:
    kind, _ = _canonical(flat(series.head(0)))
    name = series.name.encode()
    head, missing, numbers, texts = (hashlib.sha256() for _ in range(4))
    head.update(f"{kind} {len(name)} ".encode() + name)
    for start in range(0, len(series), _SLICE):
        _, part = _canonical(flat(series.slice(start, _SLICE)))
        missing.update(np.packbits(part.is_null().to_numpy()).tobytes())
        if part.dtype == pl.String:
            part = part.fill_null("")
            texts.update(str(part.str.join("").item()).encode())
            part = part.str.len_bytes().cast(pl.UInt32)
        numbers.update(_little_endian(part))
    return b"".join(part.digest() for part in (head, missing, numbers, texts))


def _canonical(series: pl.Series) -> tuple[str, pl.Series]:
    """The type's name in the digest, and the values in a type that numpy or UTF-8 can write."""
    dtype = series.dtype
    if dtype == pl.String:
        return "text", series
    if dtype == pl.Boolean:
        return "boolean", series.cast(pl.UInt8)
    if dtype.is_numeric() and not dtype.is_decimal():
        return str(dtype), series
    if dtype.is_temporal():
        return str(dtype), series.to_physical()
    return str(dtype), series.cast(pl.String)


def _little_endian(series: pl.Series) -> bytes:
    values = series.fill_null(0).to_numpy()
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.nan, values + 0).astype(values.dtype)  # -0.0 + 0 is 0.0
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
