"""Alarms in Prometheus' Alertmanager, by its API v2, from where its own routes and silences apply.

No extra; `alerts: [{alertmanager: "http://127.0.0.1:9093"}]`. An alarm is an alert `EverfitAlarm` with the labels
project, kind, severity and alarm (its id). Alertmanager forgets an alert that is not sent again; so it is given
`lifetime` (a week) to be resolved in. Limits: those of `posting`; no user and password.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from everfit.adapters.posting import PATIENCE, Patience, Poster, Sleep
from everfit.records.watch import Alarm, AlarmState

NAME = "EverfitAlarm"


@dataclass(frozen=True, slots=True)
class AlertmanagerConfig:
    """`server` is Alertmanager's address; `project` is a label of every alert."""

    server: str
    project: str = "everfit"
    lifetime: timedelta = timedelta(days=7)
    patience: Patience = PATIENCE


class AlertmanagerAlerts:
    """An AlertChannel that hands on to Alertmanager. ProjectError when the address is none of http or https."""

    def __init__(self, config: AlertmanagerConfig, sleep: Sleep = time.sleep) -> None:
        self._config = config
        self._poster = Poster(f"{config.server.rstrip('/')}/api/v2/alerts", "alertmanager", config.patience, sleep)

    def send(self, alarm: Alarm) -> None:
        """Delivers; StorageError when it was refused or could not be delivered."""
        self._poster.post(f"the alarm {alarm.key}", json.dumps([alert(alarm, self._config)]).encode())


def alert(alarm: Alarm, config: AlertmanagerConfig) -> dict[str, object]:
    """The alarm as a postable alert (Alertmanager's OpenAPI, `postableAlert`)."""
    now = datetime.now(UTC)
    ends = now if alarm.state is AlarmState.RESOLVED else now + config.lifetime
    return {
        "labels": {
            "alertname": NAME,
            "project": config.project,
            "kind": str(alarm.kind),
            "severity": alarm.severity,
            "alarm": alarm.id,
        },
        "annotations": {"summary": alarm.message, "cause": alarm.cause or ""},
        "startsAt": min(alarm.at, now).isoformat(),
        "endsAt": ends.isoformat(),
    }
