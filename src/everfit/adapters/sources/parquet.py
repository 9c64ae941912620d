"""Parquet files as a source, with the types that the file has.

Extra: none. Config: `data.source: customers.parquet`, or a glob such as `customers/*.parquet`. Limits: nested columns
are refused when the schema is inferred; `read` holds a whole table, `batches` a piece of it; folder names are not read
as columns. Whether a file has changed is seen without importing what reads it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from everfit.adapters.sources.batches import in_batches
from everfit.adapters.sources.files import content_hash, find, stack
from everfit.errors import SourceError

if TYPE_CHECKING:
    import polars as pl

_MAGIC = b"PAR1"


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """A Parquet file, or a glob of files of equal columns and types that are stacked in the order of their names."""

    path: str

    def identity(self) -> str:
        """SHA-256 of the files' bytes."""
        return content_hash(find(self.path))

    def read(self) -> pl.DataFrame:
        """All columns, typed. Raises SourceError naming the file that is not Parquet, torn or without rows."""
        paths = find(self.path)
        return stack([_read(path) for path in paths], paths)

    def count(self) -> int:
        """The rows of all files, as they say themselves."""
        import polars as pl

        return sum(int(_lazy(path).select(pl.len()).collect().item()) for path in find(self.path))

    def batches(self, rows: int, skip: int = 0, columns: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
        """As `read` gives them, a piece at a time."""
        return in_batches([_lazy(path) for path in find(self.path)], rows, skip, columns, self.path)


def _lazy(path: Path) -> pl.LazyFrame:
    import polars as pl

    _demand_magic(path)
    frame = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    try:
        frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"is damaged: {reason}", where=str(path), fix="export the table again") from error
    return frame


def _demand_magic(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise SourceError("is not a Parquet file", where=str(path), fix="name a CSV file *.csv, or export again")


def _read(path: Path) -> pl.DataFrame:
    import polars as pl

    _demand_magic(path)
    try:
        frame = pl.read_parquet(path, glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"is damaged: {reason}", where=str(path), fix="export the table again") from error
    if frame.is_empty():
        raise SourceError("has no rows", where=str(path), fix="export the table again, with its rows")
    return frame
