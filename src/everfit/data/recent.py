"""Rows of a time that still teaches something."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from everfit.errors import ChecksFailed, ProjectError


def since(frame: pl.DataFrame, time: str | None, begin: datetime | None) -> pl.DataFrame:
    """The rows of a conformed table that `places` names, in their order.

    Raises ProjectError where the column is no date, ChecksFailed where no row is left.

    >>> table = pl.DataFrame({"day": [datetime(2026, 1, 1), datetime(2026, 3, 1), None]})
    >>> since(table, "day", datetime(2026, 2, 1)).height
    1
    """
    if begin is None or time is None:
        return frame
    kept = frame[places(frame[time], begin)]
    if not kept.height:
        raise ChecksFailed(
            f"of {frame.height:,} rows none is since {begin:%Y-%m-%d %H:%M}",
            where=f"column {time!r}",
            fix="let the source deliver newer rows, or set an earlier `data.since`",
        )
    return kept


def places(times: pl.Series, begin: datetime) -> pl.Series:
    """(kept rows,) where in a column of times they are `begin` or later; a time without an offset is UTC. Rows without
    a time are left out with the earlier ones. Raises ProjectError where the column is no date.

    >>> places(pl.Series([datetime(2026, 1, 1), datetime(2026, 3, 1), None]), datetime(2026, 2, 1)).to_list()
    [1]
    """
    if not times.dtype.is_temporal():
        raise ProjectError(
            f"{times.name} is no date, so that no row of it is since {begin:%Y-%m-%d}",
            where="data.since",
            fix="name a column of dates in data.time, or leave `since` out",
        )
    naive = begin if begin.tzinfo is None else begin.astimezone(UTC).replace(tzinfo=None)
    return (times >= naive).arg_true()
