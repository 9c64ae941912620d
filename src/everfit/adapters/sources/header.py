"""The first line of a CSV file: its columns' names and what separates them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from everfit.adapters.sources.encoding import LONGEST_LINE, TextScan
from everfit.errors import SourceError

_SEPARATORS = ",;\t"
_MAGIC = {
    b"PAR1": ("a Parquet file", "name it *.parquet"),
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "export the sheet as CSV, or unpack it"),
    b"\x1f\x8b": ("compressed with gzip", "unpack it"),
    b"\xff\xfe": ("UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16", "save it as UTF-8"),
}


def header(path: Path) -> tuple[list[str], str]:
    """The columns' names and the separator. Raises SourceError for names that are missing or the same, and for a file
    that is no CSV."""
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
