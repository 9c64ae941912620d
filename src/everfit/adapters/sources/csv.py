"""CSV files as a source: comma, semicolon or tab separated, UTF-8, quoted as RFC 4180 has it.

Extra: none. Config: `data.source: customers.csv`, or a glob such as `customers-*.csv`. Every value arrives as text,
exactly as written (007 stays 007), and an empty field as null: what it means is decided by the schema, not by the
reader. A pass before reading refuses what a reader would guess about. Limits: a line of at most one megabyte, decimal
commas are not numbers; `read` holds a whole table, `batches` a piece of it. Whether a file has changed is seen without
importing what reads it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from everfit.adapters.sources.batches import in_batches
from everfit.adapters.sources.encoding import LONGEST_LINE, TextScan
from everfit.adapters.sources.files import content_hash, find, stack
from everfit.errors import SourceError

if TYPE_CHECKING:
    import polars as pl

_SEPARATORS = ",;\t"
_MAGIC = {
    b"PAR1": ("a Parquet file", "name it *.parquet"),
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "export the sheet as CSV, or unpack it"),
    b"\x1f\x8b": ("compressed with gzip", "unpack it"),
    b"\xff\xfe": ("UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16", "save it as UTF-8"),
}


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

    def batches(self, rows: int, skip: int = 0) -> Iterator[pl.DataFrame]:
        """As `read` gives them, a piece at a time."""
        return in_batches([_lazy(path) for path in find(self.path)], rows, skip, self.path)


def _lazy(path: Path) -> pl.LazyFrame:
    import polars as pl

    names, separator, rows = _looked_over(path)
    return pl.scan_csv(path, separator=separator, infer_schema=False, n_rows=rows, new_columns=names, glob=False)


def _looked_over(path: Path) -> tuple[list[str], str, int]:  # names, separator, rows
    from everfit.adapters.sources.scan import scan

    header, separator = _header(path)
    rows = scan(path, separator, len(header))
    if not rows:
        raise SourceError("has a header and no rows", where=str(path), fix="export the table again, with its rows")
    return header, separator, rows


def _read(path: Path) -> pl.DataFrame:
    import polars as pl

    header, separator, rows = _looked_over(path)
    try:
        frame = pl.read_csv(path, separator=separator, infer_schema=False, n_rows=rows, new_columns=header, glob=False)
    except pl.exceptions.PolarsError as error:
        what = f"is not readable as CSV: {str(error).splitlines()[0]}"
        raise SourceError(what, where=str(path), fix="export the table again") from error
    if frame.height != rows:
        what = f"changed while it was read: {rows} rows, then {frame.height}"
        raise SourceError(what, where=str(path), fix="write the file under another name and rename it when it is whole")
    return frame


def _header(path: Path) -> tuple[list[str], str]:
    with path.open("rb") as file:
        head = file.readline(LONGEST_LINE + 1)
        while head.count(b'"') % 2 and len(head) < LONGEST_LINE and (more := file.readline(LONGEST_LINE)):
            head += more  # a quoted name with a line break in it
    for magic, (what, fix) in _MAGIC.items():
        if head.startswith(magic):
            raise SourceError(f"is {what}, not CSV", where=str(path), fix=fix)
    TextScan(str(path)).take(head)
    if b"\r" in head and b"\n" not in head:
        raise SourceError("its lines end in carriage returns only", where=str(path), fix="end them in line feeds")
    text = head.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    separator = _separator(text)
    names = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    _demand_names(names, path)
    return names, separator


def _separator(header: str) -> str:
    return max(_SEPARATORS, key="".join(header.split('"')[::2]).count)


def _demand_names(names: list[str], path: Path) -> None:
    where = f"{path}, line 1"
    if not any(name.strip() for name in names):
        raise SourceError("the first line names no columns", where=where, fix="begin the file with the column names")
    for position, name in enumerate(names):
        if not name.strip():
            raise SourceError(
                f"column {position + 1} has no name",
                where=where,
                fix="name it; from pandas, write the file with to_csv(index=False)",
            )
        if name in names[:position]:
            raise SourceError(f"two columns are named {name!r}", where=where, fix="rename or drop one of them")
