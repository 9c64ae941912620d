"""What the records hold for whoever shows metrics: the last look, alarms and runs."""

from __future__ import annotations

from everfit.flow import alerting, monitoring, quality
from everfit.flow.run import runs
from everfit.ports import StateStore
from everfit.serving.watch_metrics import Observed


def observed(state: StateStore) -> Observed:
    """The newest of each, read once."""
    looks = monitoring.looks(state)
    judged = next((look for look in reversed(looks) if look.performance is not None), None)
    last = looks[-1] if looks else None
    checked = {one.origin: one for one in quality.history(state, looks)}
    return Observed(last, judged, tuple(alerting.history(state)), tuple(runs(state)), quality=tuple(checked.values()))
