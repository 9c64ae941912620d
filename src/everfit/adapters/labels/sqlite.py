"""Labels in one SQLite file: the default, needs no extra and no server.

A label is news when it differs from what was known of its prediction at its time, so that sending it again, also at a
later time, changes nothing, and a correction stands beside what it corrects. Limits: one machine, a local disk; a power
loss may lose the last seconds' labels, which are then to be sent again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from everfit.adapters.labels.remembered import EPOCH, TICK, Remembered
from everfit.adapters.sqlite import Database
from everfit.errors import RequestError
from everfit.records.prediction import Label

# `value` has no type: text stays text and a number a number. `place` is the order of arrival.
_TABLES = """
CREATE TABLE IF NOT EXISTS labels (
    place INTEGER PRIMARY KEY,
    prediction_id TEXT NOT NULL,
    known_at INTEGER NOT NULL,
    value NOT NULL,
    stored_at INTEGER,
    UNIQUE (prediction_id, known_at, value)
)
"""
_INSERT = """
INSERT INTO labels (prediction_id, known_at, value, stored_at) SELECT :id, :at, :value, :stored WHERE :value IS NOT (
    SELECT value FROM labels WHERE prediction_id = :id AND known_at <= :at ORDER BY known_at DESC, place DESC LIMIT 1
) ON CONFLICT DO NOTHING
"""


class SqliteLabels:
    """A LabelStore in the file `path`, which is made with its folder where missing. What was read is remembered, so
    that a process which looks again and again reads only what has come since."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _TABLES)
        self._grow()
        self._remembered = Remembered(self._database)

    def put(self, labels: Iterable[Label]) -> int:
        """Stores all of them or none, and returns how many were new.

        Raises RequestError for a time without a zone and for a value that is not a number."""
        now = datetime.now(UTC)
        rows = [_row(label, now) for label in labels]
        with self._database.write() as connection:
            before = connection.total_changes
            connection.executemany(_INSERT, rows)
            return connection.total_changes - before

    def frame(self, since: datetime | None = None) -> pl.DataFrame:
        """The label known last of each prediction; of labels known at the same time, the one stored last."""
        found = self._remembered.since(since or EPOCH)
        return found.sort("known_at", "place").unique("prediction_id", keep="last", maintain_order=True).sort("place")

    def count(self) -> int:
        """Predictions that have a label."""
        return int(self._database.row("SELECT count(DISTINCT prediction_id) FROM labels")[0])

    def _grow(self) -> None:
        """A file of an earlier version has no column for the time of storing."""
        if not any(name == "stored_at" for _, name, *_ in self._database.rows("PRAGMA table_info(labels)")):
            with self._database.write() as connection:
                if not any(row[1] == "stored_at" for row in connection.execute("PRAGMA table_info(labels)")):
                    connection.execute("ALTER TABLE labels ADD COLUMN stored_at INTEGER")


def _row(label: Label, now: datetime) -> dict[str, str | int | float]:
    value = label.value if isinstance(label.value, str) else float(label.value)
    times = (label.known_at, label.stored_at or now)
    untimed = any(one.tzinfo is None for one in times)
    if untimed or (isinstance(value, float) and math.isnan(value)):
        problem = "time has no time zone" if untimed else "value is not a number"
        raise RequestError(
            f"the label's {problem}", where=f"prediction {label.prediction_id}", fix="correct it and send it again"
        )
    known, stored = ((one - EPOCH) // TICK for one in times)
    return {"id": label.prediction_id, "at": known, "value": value, "stored": stored}
