"""What the records hold for whoever shows metrics: the last look, open alarms, and counts of what ended.

Scrapes come every few seconds and records stay for years, so what was read once is not read again: each stream is asked
for its newest number, and read from where the last scrape ended. What is kept does not grow with the history.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

from everfit.flow import alerting, ledger, monitoring, quality, schedule
from everfit.flow.run import RUNS, reconciled
from everfit.ports import StateStore
from everfit.records.codec import decode
from everfit.records.quality import QualityLook
from everfit.records.release import LedgerEvent
from everfit.records.run import RunRecord, Status
from everfit.records.schedule import Job
from everfit.records.watch import Alarm, AlarmEvent, AlarmState, LossReport, MonitorReport
from everfit.serving.watch_metrics import Observed

_LOOKS = 500  # how far back the first reading looks for a judgement of performance
T = TypeVar("T")


def observed(state: StateStore) -> Observed:
    """The newest of each, read once."""
    return Observer(state)()


class Observer:
    """Reads what is new each time that it is called, from any thread."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}
        self._look: MonitorReport | None = None
        self._judged: MonitorReport | None = None
        self._checked: MonitorReport | None = None
        self._losses: LossReport | None = None
        self._alarms: dict[str, Alarm] = {}
        self._running: dict[str, RunRecord] = {}
        self._ended: Counter[tuple[str, Status]] = Counter()
        self._last: dict[str, RunRecord] = {}
        self._rows = 0
        self._events: Counter[str] = Counter()
        self._ledger = ledger.Followed()

    def __call__(self) -> Observed:
        """What is known now. Raises StorageError when a record cannot be read."""
        with self._lock:
            self._read()
            gone = [run for one in self._running.values() if (run := reconciled(one)).status is Status.FAILED]
            release, versions = self._ledger.release, self._ledger.versions
            return Observed(
                self._look,
                self._judged,
                tuple(self._alarms.values()),
                self._ended + Counter((run.pipeline, run.status) for run in gone),
                tuple(self._last.values()),
                tuple(last[1] for job in Job if (last := schedule.last_slot(self._state, job))),
                quality.newest(self._state, self._checked),
                self._rows,
                Counter(self._events),
                {version: versions[version].metrics for version in (release.champion, release.challenger) if version},
                self._losses,
            )

    def _read(self) -> None:
        for look in self._new(monitoring.LOOKS, MonitorReport, most=_LOOKS):
            self._look = look
            self._judged = look if look.performance is not None else self._judged
            self._losses = look.losses or self._losses
            self._checked = look if look.quality is not None else self._checked
        for alarm in self._new(alerting.ALARMS, Alarm):
            self._alarms[alarm.id] = alarm
        for event in self._new(alerting.EVENTS, AlarmEvent):
            if event.state is AlarmState.RESOLVED:
                self._alarms.pop(event.alarm, None)
        for run in self._new(RUNS, RunRecord):
            self._count(run)
        self._rows += sum(table.rows for table in self._new(quality.RUNS_QUALITY, QualityLook))
        self._events.update(event.kind.value for event in self._new(ledger.STREAM, LedgerEvent))
        self._ledger.read(self._state)

    def _count(self, run: RunRecord) -> None:
        if run.status is Status.RUNNING:
            self._running[run.id] = run
            return
        self._running.pop(run.id, None)
        self._ended[run.pipeline, run.status] += 1
        self._last[run.pipeline] = run

    def _new(self, stream: str, kind: type[T], most: int | None = None) -> Iterator[T]:
        """What was appended since the last time, of the first time the newest `most`."""
        last, seen = self._state.last(stream), self._seen.get(stream)
        newest = 0 if last is None else last[0]
        after = max(newest - most, 0) if seen is None and most is not None else seen or 0
        if newest <= after:
            return
        for number, text in self._state.read(stream, after):
            found = decode(kind, text, where=f"{stream}, document {number}")
            self._seen[stream] = number
            yield found
