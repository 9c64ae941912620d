"""Where tables come from, by address or by query, to the adapter that reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from everfit.errors import ProjectError
from everfit.ports import Source


def source(root: Path, address: str) -> Source:
    """The source that an address names, http or a file by its ending; relative to `root`. ProjectError for any other.

    >>> source(Path("/data"), "churn.csv")
    CsvSource(path='/data/churn.csv')
    """
    if address.lower().startswith(("http://", "https://")):
        from everfit.adapters.sources.http import HttpSource

        return HttpSource(address)
    ending = Path(address).suffix.lower()
    if "://" in address or ending not in _SOURCES:
        raise ProjectError(
            f"nothing here reads {address!r}",
            where="data.source",
            fix=f"name a file, or a glob of files, that ends in {', '.join(_SOURCES)}, or an https:// address of one",
        )
    return _SOURCES[ending](str(root / address))


def query(database: str, text: str) -> Source:
    """The rows that a query gives; the environment variable `database` holds the address. ProjectError without it."""
    from everfit.adapters.sources.sql import SqlSource

    address = os.environ.get(database, "").strip()
    if not address:
        fix = f"set it to an address such as postgresql://user:password@host/shop: export {database}=..."
        raise ProjectError("the environment variable is not set", where=database, fix=fix)
    return SqlSource(address, text)


def _csv(path: str) -> Source:
    from everfit.adapters.sources.csv import CsvSource

    return CsvSource(path)


def _parquet(path: str) -> Source:
    from everfit.adapters.sources.parquet import ParquetSource

    return ParquetSource(path)


_SOURCES: Mapping[str, Callable[[str], Source]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".txt": _csv,
    ".parquet": _parquet,
    ".pq": _parquet,
}
