"""Rows of a time that still teaches something: those since a date, in any zone, and never none without a word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest

from everfit.data.recent import since
from everfit.errors import ChecksFailed, ProjectError

FIRST = datetime(2026, 1, 1)  # noqa: DTZ001  conformed tables have no zone
TABLE = pl.DataFrame({"day": [FIRST, FIRST + timedelta(days=1), None], "n": [1.0, 2.0, 3.0]})


@pytest.mark.parametrize(
    ("begin", "kept"),
    [
        (None, [1.0, 2.0, 3.0]),
        (FIRST, [1.0, 2.0]),
        (datetime(2026, 1, 1, 0, 1, tzinfo=UTC), [2.0]),
        (datetime(2026, 1, 2, 2, tzinfo=timezone(timedelta(hours=2))), [2.0]),
    ],
)
def test_rows_since_then_are_kept_and_those_without_a_time_are_not(begin: datetime | None, kept: list[float]) -> None:
    assert since(TABLE, "day", begin)["n"].to_list() == kept


def test_no_row_left_is_said() -> None:
    with pytest.raises(ChecksFailed, match="of 3 rows none is since 2027-01-01"):
        since(TABLE, "day", datetime(2027, 1, 1, tzinfo=UTC))


def test_a_column_that_is_no_date_cannot_say() -> None:
    with pytest.raises(ProjectError, match="n is no date"):
        since(TABLE, "n", FIRST)
