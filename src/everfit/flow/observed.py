"""What the records hold for whoever shows metrics: the last look, alarms and runs."""

from __future__ import annotations

from everfit.flow import alerting, monitoring, quality, schedule
from everfit.flow.run import runs
from everfit.ports import StateStore
from everfit.records.schedule import Job
from everfit.serving.watch_metrics import Observed


def observed(state: StateStore) -> Observed:
    """The newest of each, read once."""
    looks = monitoring.looks(state)
    judged = next((look for look in reversed(looks) if look.performance is not None), None)
    slots = tuple(last[1] for job in Job if (last := schedule.last_slot(state, job)))
    checked = {one.origin: one for one in quality.history(state, looks)}
    return Observed(
        looks[-1] if looks else None,
        judged,
        tuple(alerting.history(state)),
        tuple(runs(state)),
        slots,
        tuple(checked.values()),
    )
