"""Files that are read a piece at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from everfit.errors import SourceError

if TYPE_CHECKING:
    import polars as pl


def in_batches(
    frames: Sequence[pl.LazyFrame], rows: int, skip: int, columns: Collection[str] | None, where: str
) -> Iterator[pl.DataFrame]:
    """The files' rows from row `skip` on, in tables of `rows` rows; of these `columns` if all are there. Raises
    SourceError for files of other columns or types than the first, and for one that turns out to be damaged."""
    import polars as pl

    schemas = [frame.collect_schema() for frame in frames]
    if any(schema != schemas[0] for schema in schemas):
        raise SourceError(
            "the files' columns differ", where=where, fix="give all files the same columns in the same order"
        )
    table = pl.concat(frames) if len(frames) > 1 else frames[0]
    if columns is not None and set(columns) <= set(schemas[0]):
        table = table.select(name for name in schemas[0] if name in columns)
    try:
        yield from table.slice(skip).collect_batches(chunk_size=rows, maintain_order=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"could not be read: {reason}", where=where, fix="export the table again") from error
