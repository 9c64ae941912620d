"""A table at an http or https address as a source.

Extra: none. Config: `data.source: https://...`, or `everfit labels https://...`. Limits: https anywhere, http on the
loopback alone; redirects lead to https alone, from the loopback also to the loopback; at most 1 GB, and ten minutes in
all; the table is CSV or Parquet, by the address' ending or the answer's Content-Type. No message shows more of an
address than host and path, for what comes after `?` may be a secret.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from everfit.adapters.addresses import demand_allowed, opener, request, shown
from everfit.adapters.sources.csv import CsvSource
from everfit.adapters.sources.parquet import ParquetSource
from everfit.errors import SourceError

if TYPE_CHECKING:
    import polars as pl

_BLOCK = 1 << 20
_TYPES = {"text/csv": ".csv", "application/csv": ".csv", "application/vnd.apache.parquet": ".parquet"}
_ENDINGS = {".csv", ".tsv", ".txt", ".parquet", ".pq"}


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """How much is taken from another machine: `bytes` in all, `seconds` in all, and for each wait `silence` seconds."""

    bytes: int = 1_000_000_000
    seconds: float = 600.0
    silence: float = 30.0


@dataclass(frozen=True, slots=True)
class HttpSource:
    """The table at an address, fetched at each reading. SourceError at once for an address that may not be read."""

    address: str = field(repr=False)
    limits: HttpLimits = HttpLimits()

    def __post_init__(self) -> None:
        demand_allowed(self.address)

    def identity(self) -> str:
        """SHA-256 of the content, which is fetched for it: what a server says of its content's age is not to be relied
        on."""
        with tempfile.TemporaryDirectory(prefix="everfit-http-") as folder:
            return _fetched(self.address, self.limits, Path(folder))[1]

    def read(self) -> pl.DataFrame:
        """All columns: a CSV's as text, a Parquet file's typed. Raises SourceError."""
        with tempfile.TemporaryDirectory(prefix="everfit-http-") as folder:
            path, _ = _fetched(self.address, self.limits, Path(folder))
            source = ParquetSource(str(path)) if path.suffix in (".parquet", ".pq") else CsvSource(str(path))
            try:
                return source.read()
            except SourceError as error:
                raise SourceError(error.what, where=shown(self.address), fix=error.fix) from error


def _fetched(address: str, limits: HttpLimits, folder: Path) -> tuple[Path, str]:
    """The content as a file with its kind's ending, and its SHA-256."""
    where = shown(address)
    try:
        with opener().open(request(address), timeout=limits.silence) as answer:
            ending = _ending(address, answer.headers.get_content_type(), where)
            return _kept(answer, folder / f"table{ending}", limits, where)
    except HTTPError as error:
        error.close()
        fix = "check the address, and that it may be read without logging in"
        raise SourceError(f"it answered {error.code}", where=where, fix=fix) from error
    except TimeoutError as error:
        raise _slow(where, limits.silence) from error
    except (URLError, HTTPException, OSError) as error:
        if isinstance(getattr(error, "reason", None), TimeoutError):
            raise _slow(where, limits.silence) from error
        what = f"no connection ({type(getattr(error, 'reason', error)).__name__})"
        raise SourceError(what, where=where, fix="check the address, and that it can be reached from here") from error


def _ending(address: str, kind: str, where: str) -> str:
    own = Path(urlsplit(address).path).suffix.lower()
    ending = own if own in _ENDINGS else _TYPES.get(kind)
    if ending is None:
        fix = "give the address an ending such as .csv or .parquet, or have the server say text/csv"
        raise SourceError(f"its content is {kind}, neither CSV nor Parquet", where=where, fix=fix)
    return ending


def _kept(answer: IO[bytes], path: Path, limits: HttpLimits, where: str) -> tuple[Path, str]:
    digest, size, deadline = hashlib.sha256(), 0, time.monotonic() + limits.seconds
    with path.open("wb") as file:
        while block := answer.read1(_BLOCK) if hasattr(answer, "read1") else answer.read(_BLOCK):
            size += len(block)
            if size > limits.bytes:
                fix = "fetch it with another program and name the file"
                raise SourceError(f"it is larger than {limits.bytes:,} bytes", where=where, fix=fix)
            if time.monotonic() > deadline:
                raise _slow(where, limits.seconds)
            digest.update(block)
            file.write(block)
    return path, digest.hexdigest()


def _slow(where: str, seconds: float) -> SourceError:
    fix = "try again later, or fetch it with another program and name the file"
    return SourceError(f"no answer within {seconds:g} seconds", where=where, fix=fix)
