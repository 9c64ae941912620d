"""Segments by name: `FROM_TO_OPENED_WRITER.log` says which record times (UTC) it can hold, when it was opened, by whom.

A segment is written as `.log`, and becomes `.parquet` under the same stem once its writer is done with it; `.jsonl` is
what versions before 0.2 wrote. Who reads a window passes over segments by their names.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

LIVE, PLAIN, COMPACT = ".log", ".jsonl", ".parquet"

_STAMP = "%Y%m%dT%H%M"
_NAME = re.compile(r"(\d{8}T\d{4})_(\d{8}T\d{4})_(\d{20})_[0-9a-f]{8}")
_HOUR = timedelta(hours=1)
# Threads that append around the full hour should not open a segment each time.
_MARGIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Stored:
    """A segment on disk: the record times that it can hold, its place in the order of opening, and its file."""

    since: datetime
    until: datetime
    opened: str
    path: Path

    @property
    def compact(self) -> Path:
        """Where its Parquet form is, or will be."""
        return self.path.with_suffix(COMPACT)


def span(first: datetime, last: datetime) -> tuple[datetime, datetime]:
    """The whole hours around two moments, with a margin.

    >>> noon = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    >>> [f"{edge:%H:%M}" for edge in span(noon, noon)]
    ['11:59', '13:01']
    """
    return _hour(first) - _MARGIN, _hour(last) + _HOUR + _MARGIN


def fresh(folder: Path, since: datetime, until: datetime, opened: int) -> Path:
    """The path of a new segment, of nobody else."""
    return folder / f"{since:{_STAMP}}_{until:{_STAMP}}_{opened:020d}_{secrets.token_hex(4)}{LIVE}"


def stored(folder: Path, since: datetime | None = None, until: datetime | None = None) -> list[Stored]:
    """The segments that can hold records of the window, in the order opened; a Parquet file stands before what it was
    made of."""
    found: dict[str, Stored] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        name = _NAME.fullmatch(path.stem)
        if name is None or path.suffix not in (LIVE, PLAIN, COMPACT):
            continue
        start, end = _moment(name[1]), _moment(name[2])
        if (since is None or end > since) and (until is None or start < until):
            # Sorted by name, .parquet comes last.
            found[path.stem] = Stored(start, end, name[3], path)
    return sorted(found.values(), key=lambda segment: segment.opened)


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _moment(stamp: str) -> datetime:
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
