"""Alarms as a readable block on standard error.

No extra, no settings: `alerts: [console]`, the default. Limit: it is seen only by who watches the terminal or its log.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TextIO

from everfit.errors import StorageError
from everfit.records.watch import Alarm, AlarmState


@dataclass(frozen=True, slots=True)
class ConsoleAlerts:
    """An AlertChannel that writes to `stream`, standard error (as it is at the time of sending) if not given."""

    stream: TextIO | None = None

    def send(self, alarm: Alarm) -> None:
        """Writes the alarm; StorageError when the stream is closed or full."""
        stream = sys.stderr if self.stream is None else self.stream
        try:
            stream.write(block(alarm))
            stream.flush()
        except (OSError, ValueError) as error:
            raise StorageError(
                f"the alarm could not be written: {error}",
                where="console alerts",
                fix="give the process a standard error that can be written to, or another channel in `alerts:`",
            ) from error


def block(alarm: Alarm) -> str:
    """The alarm as text: what kind and when, what happened, and its false-alarm rate.

    >>> from datetime import datetime, timezone
    >>> from everfit.records.watch import AlarmKind
    >>> at = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)
    >>> print(block(Alarm("k", AlarmKind.DRIFT, at, "age moved", false_alarm_rate=0.0005)), end="")
    ALARM drift at 2026-01-02 03:04:00+00:00
      age moved
      false alarms: 0.05% of looks
    """
    word = "RESOLVED" if alarm.state is AlarmState.RESOLVED else "ALARM"
    lines = [f"{word} {str(alarm.kind).replace('_', ' ')} at {alarm.at}"]
    # A column's name or a level may hold control characters, and a terminal would obey them.
    lines += ["  " + "".join(c if c.isprintable() else "?" for c in line) for line in alarm.message.splitlines()]
    for shape in alarm.shapes:
        then, now = shape.sketch()
        name = "".join(c if c.isprintable() else "?" for c in shape.column)
        lines += [f"  training  {then}  {name}", f"  now       {now}"]
    if alarm.cause is not None:
        lines.append(f"  {alarm.cause}")
    if alarm.false_alarm_rate is not None:
        lines.append(f"  false alarms: {100 * alarm.false_alarm_rate:.2g}% of looks")
    return "\n".join(lines) + "\n"
