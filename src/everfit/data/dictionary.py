"""Text columns as codes of their distinct values: a byte or two a cell where text takes sixteen or more."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

# Rows that a table too large to be handled at once is taken in.
PIECE = 1 << 18
# A column of more distinct values than two bytes can number stays text.
_MOST = 1 << 16


def encoded(series: pl.Series) -> pl.Series:
    """A text column as an Enum of its distinct values in their order, where these are few; any other as it is.

    The values are the same and compare the same; `reading.flat` gives the text back.

    >>> encoded(pl.Series(["b", None, "a", "b"])).dtype
    Enum(categories=['a', 'b'])
    """
    if series.dtype != pl.String:
        return series
    levels = series.drop_nulls().unique()
    return series.cast(pl.Enum(levels.sort())) if len(levels) <= _MOST else series


def stacked(pieces: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Tables of equal columns below one another, their text encoded: each piece as it comes, so that no more than one
    is ever held as text. A piece's column without a single value takes the type of the others.

    >>> stacked([pl.DataFrame({"a": ["x", "y"]}), pl.DataFrame({"a": ["z"]})])["a"].to_list()
    ['x', 'y', 'z']
    """
    found = [[encoded(series) for series in piece] for piece in pieces]
    return pl.DataFrame([_joined(parts) for parts in zip(*found, strict=True)])


def _joined(parts: tuple[pl.Series, ...]) -> pl.Series:
    kinds = {part.dtype for part in parts if part.null_count() < len(part)} or {parts[0].dtype}
    if not all(isinstance(kind, pl.Enum | pl.String) for kind in kinds):
        kind: pl.DataType | type[pl.DataType] = next(iter(kinds))
        return pl.concat([part if part.null_count() < len(part) else part.cast(kind) for part in parts], rechunk=True)
    kind = pl.String if pl.String in kinds else _common(parts)
    return pl.concat([part.cast(pl.String).cast(kind) for part in parts], rechunk=True)


def _common(parts: tuple[pl.Series, ...]) -> pl.DataType | type[pl.DataType]:
    """The type that numbers the values of all parts, or text where they are too many."""
    levels = sorted({level for part in parts if isinstance(part.dtype, pl.Enum) for level in part.dtype.categories})
    return pl.Enum(levels) if len(levels) <= _MOST else pl.String
