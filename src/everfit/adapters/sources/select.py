"""Which source reads what `data.source` names."""

from __future__ import annotations

from pathlib import Path

from everfit.adapters.sources.csv import CsvSource
from everfit.adapters.sources.parquet import ParquetSource
from everfit.errors import ProjectError
from everfit.ports import Source

_BY_ENDING: dict[str, type[CsvSource | ParquetSource]] = {
    ".csv": CsvSource,
    ".tsv": CsvSource,
    ".txt": CsvSource,
    ".parquet": ParquetSource,
    ".pq": ParquetSource,
}


def select(source: str, folder: Path) -> Source:
    """The source by its ending; relative paths are taken from `folder`. Raises ProjectError for any other.

    >>> select("churn.csv", Path("/data"))
    CsvSource(path='/data/churn.csv')
    """
    if "://" in source:
        raise ProjectError(
            f"there is no source for {source.partition('://')[0]}://",
            where="data.source",
            fix="name a CSV or Parquet file",
        )
    kind = _BY_ENDING.get(Path(source).suffix.lower())
    if kind is None:
        raise ProjectError(
            f"{source!r} ends neither in .csv nor in .parquet",
            where="data.source",
            fix="name a CSV or Parquet file, or a glob of them such as customers/*.csv",
        )
    return kind(str(folder / source))
