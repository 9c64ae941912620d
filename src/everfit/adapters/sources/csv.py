"""CSV files as a source: comma, semicolon or tab separated, UTF-8, quoted as RFC 4180 has it.

Extra: none. Config: `data.source: customers.csv`, or a glob such as `customers-*.csv`. Every value arrives as text,
exactly as written (007 stays 007), and an empty field as null: what it means is decided by the schema, not by the
reader. A pass before reading refuses what a reader would guess about. Limits: a line of at most one megabyte, decimal
commas are not numbers; `read` holds a whole table, `batches` a piece of it. Whether a file has changed is seen without
importing what reads it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from everfit.adapters.sources.batches import in_batches
from everfit.adapters.sources.files import content_hash, find, stack
from everfit.adapters.sources.header import header
from everfit.errors import SourceError

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A CSV file, or a glob of files of equal columns that are stacked in the order of their names."""

    path: str

    def identity(self) -> str:
        """SHA-256 of the files' bytes."""
        return content_hash(find(self.path))

    def read(self) -> pl.DataFrame:
        """All columns as text. Raises SourceError naming file and line for whatever is no clean CSV."""
        paths = find(self.path)
        return stack([_read(path) for path in paths], paths)

    def count(self) -> int:
        """The rows of all files, each of which is looked over as for `read`."""
        return sum(_looked_over(path)[2] for path in find(self.path))

    def batches(self, rows: int, skip: int = 0, columns: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
        """As `read` gives them, a piece at a time."""
        return in_batches([_lazy(path) for path in find(self.path)], rows, skip, columns, self.path)


def _lazy(path: Path) -> pl.LazyFrame:
    import polars as pl

    names, separator, rows = _looked_over(path)
    return pl.scan_csv(path, separator=separator, infer_schema=False, n_rows=rows, new_columns=names, glob=False)


def _looked_over(path: Path) -> tuple[list[str], str, int]:
    """The file's column names, its separator, and how many rows it has; looked for again when the file has changed."""
    found = path.stat()
    return _looked_over_once(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=32)
def _looked_over_once(path: Path, _changed: int, _size: int) -> tuple[list[str], str, int]:
    from everfit.adapters.sources.scan import scan

    names, separator = header(path)
    rows = scan(path, separator, len(names))
    if not rows:
        raise SourceError("has a header and no rows", where=str(path), fix="export the table again, with its rows")
    return names, separator, rows


def _read(path: Path) -> pl.DataFrame:
    import polars as pl

    names, separator, rows = _looked_over(path)
    try:
        frame = pl.read_csv(path, separator=separator, infer_schema=False, n_rows=rows, new_columns=names, glob=False)
    except pl.exceptions.PolarsError as error:
        what = f"is not readable as CSV: {str(error).splitlines()[0]}"
        raise SourceError(what, where=str(path), fix="export the table again") from error
    if frame.height != rows:
        what = f"changed while it was read: {rows} rows, then {frame.height}"
        raise SourceError(what, where=str(path), fix="write the file under another name and rename it when it is whole")
    return frame
