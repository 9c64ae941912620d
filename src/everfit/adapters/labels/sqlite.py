"""Labels in one SQLite file: the default, needs no extra and no server.

A label is news when it differs from what was known of its prediction at its time, so that sending it again, also at a
later time, changes nothing, and a correction stands beside what it corrects. Limits: one machine, a local disk; a power
loss may lose the last seconds' labels, which are then to be sent again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
    UNIQUE (prediction_id, known_at, value)
)
"""
_INSERT = """
INSERT INTO labels (prediction_id, known_at, value) SELECT :id, :at, :value WHERE :value IS NOT (
    SELECT value FROM labels WHERE prediction_id = :id AND known_at <= :at ORDER BY known_at DESC, place DESC LIMIT 1
) ON CONFLICT DO NOTHING
"""
_LATEST = """
SELECT prediction_id, known_at, value, place FROM (
    SELECT *, row_number() OVER (PARTITION BY prediction_id ORDER BY known_at DESC, place DESC) AS age FROM labels
) WHERE age = 1
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class SqliteLabels:
    """A LabelStore in the file `path`, which is made with its folder where missing."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _TABLES)

    def put(self, labels: Iterable[Label]) -> int:
        """Stores all of them or none, and returns how many were new.

        Raises RequestError for a time without a zone and for a value that is not a number."""
        rows = [_row(label) for label in labels]
        with self._database.write() as connection:
            before = connection.total_changes
            connection.executemany(_INSERT, rows)
            return connection.total_changes - before

    def latest(self) -> Mapping[str, Label]:
        """The label known last of each prediction; of labels known at the same time, the one stored last."""
        found = self._database.rows(_LATEST)
        return {name: Label(name, value, _EPOCH + known * _TICK, place) for name, known, value, place in found}


def _row(label: Label) -> dict[str, str | int | float]:
    value = label.value if isinstance(label.value, str) else float(label.value)
    if label.known_at.tzinfo is None or (isinstance(value, float) and math.isnan(value)):
        problem = "time has no time zone" if label.known_at.tzinfo is None else "value is not a number"
        raise RequestError(
            f"the label's {problem}", where=f"prediction {label.prediction_id}", fix="correct it and send it again"
        )
    return {"id": label.prediction_id, "at": (label.known_at - _EPOCH) // _TICK, "value": value}
