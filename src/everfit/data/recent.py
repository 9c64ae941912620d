"""Rows of a time that still teaches something."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from everfit.errors import ChecksFailed, ProjectError


def since(frame: pl.DataFrame, time: str | None, begin: datetime | None) -> pl.DataFrame:
    """The rows of a conformed table whose `time` is `begin` or later, or all of them without a beginning; a time
    without an offset is UTC. Rows without a time are left out with the earlier ones.

    Raises ProjectError where the column is no date, ChecksFailed where no row is left.

    >>> table = pl.DataFrame({"day": [datetime(2026, 1, 1), datetime(2026, 3, 1), None]})
    >>> since(table, "day", datetime(2026, 2, 1)).height
    1
    """
    if begin is None or time is None:
        return frame
    if not frame[time].dtype.is_temporal():
        raise ProjectError(
            f"{time} is no date, so that no row of it is since {begin:%Y-%m-%d}",
            where="data.since",
            fix="name a column of dates in data.time, or leave `since` out",
        )
    naive = begin if begin.tzinfo is None else begin.astimezone(UTC).replace(tzinfo=None)
    kept = frame.filter(pl.col(time) >= naive)
    if not kept.height:
        raise ChecksFailed(
            f"of {frame.height:,} rows none is since {begin:%Y-%m-%d %H:%M}",
            where=f"column {time!r}",
            fix="let the source deliver newer rows, or set an earlier `data.since`",
        )
    return kept
