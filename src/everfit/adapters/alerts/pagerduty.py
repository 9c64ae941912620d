"""Alarms as PagerDuty incidents, by the Events API v2: triggered, acknowledged and resolved under one key.

No extra; `alerts: [{pagerduty: "${PAGERDUTY_KEY}"}]` with an integration's routing key. An alarm that comes again opens
no second incident while the first is open; one that is over resolves it. Limits: those of `posting`; summaries are cut
at PagerDuty's 1,024 characters.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from everfit.adapters.posting import PATIENCE, Patience, Poster, Sleep
from everfit.records.watch import Alarm, AlarmState

EVENTS = "https://events.pagerduty.com/v2/enqueue"
MOST_SUMMARY = 1_024
_ACTIONS = {AlarmState.OPEN: "trigger", AlarmState.ACKNOWLEDGED: "acknowledge", AlarmState.RESOLVED: "resolve"}


@dataclass(frozen=True, slots=True)
class PagerDutyConfig:
    """`key` is the integration's routing key, a secret; `source` names the project."""

    key: str = field(repr=False)
    source: str = "everfit"
    url: str = EVENTS
    patience: Patience = PATIENCE


class PagerDutyAlerts:
    """An AlertChannel that opens and closes incidents. ProjectError when the address is none of http or https."""

    def __init__(self, config: PagerDutyConfig, sleep: Sleep = time.sleep) -> None:
        self._config = config
        self._poster = Poster(config.url, "pagerduty", config.patience, sleep)

    def send(self, alarm: Alarm) -> None:
        """Delivers; StorageError when it was refused or could not be delivered."""
        self._poster.post(f"the alarm {alarm.key}", json.dumps(event(alarm, self._config)).encode())


def event(alarm: Alarm, config: PagerDutyConfig) -> dict[str, object]:
    """The alarm as an event (https://developer.pagerduty.com/docs/send-alert-event)."""
    found: dict[str, object] = {
        "routing_key": config.key,
        "event_action": _ACTIONS[alarm.state],
        "dedup_key": alarm.id,
    }
    if alarm.state is AlarmState.OPEN:
        found["payload"] = {
            "summary": alarm.message[:MOST_SUMMARY],
            "source": config.source,
            "severity": alarm.severity,
            "timestamp": alarm.at.isoformat(),
            "component": "model",
            "class": str(alarm.kind),
            "custom_details": {**alarm.evidence, "cause": alarm.cause, "false_alarm_rate": alarm.false_alarm_rate},
        }
    return found
