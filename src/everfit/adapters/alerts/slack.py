"""Alarms as messages in a Slack channel, by an incoming webhook.

No extra; `alerts: [{slack: "${SLACK_WEBHOOK}"}]`. A message is a headline, the text, what moved drawn in characters
(an incoming webhook takes no files), and its evidence as a context line, in Slack's blocks with a plain text beside
them for notifications. Limits: those of `posting`; Slack takes one message a second and says 429 beyond, which is
waited out; texts are cut at Slack's 3,000 characters.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from everfit.adapters.posting import PATIENCE, Patience, Poster, Sleep
from everfit.records.shape import Shape
from everfit.records.watch import Alarm, AlarmState

MOST_TEXT = 3_000
MOST_HEADER = 150


@dataclass(frozen=True, slots=True)
class SlackConfig:
    """`url` is the incoming webhook, a secret."""

    url: str = field(repr=False)
    patience: Patience = PATIENCE


class SlackAlerts:
    """An AlertChannel that writes into Slack. ProjectError when the URL is none of http or https."""

    def __init__(self, config: SlackConfig, sleep: Sleep = time.sleep) -> None:
        self._poster = Poster(config.url, "slack", config.patience, sleep)

    def send(self, alarm: Alarm) -> None:
        """Delivers; StorageError when it was refused or could not be delivered."""
        self._poster.post(f"the alarm {alarm.key}", json.dumps(message(alarm)).encode())


def message(alarm: Alarm) -> dict[str, object]:
    """The alarm in Slack's blocks (https://api.slack.com/reference/block-kit/blocks)."""
    resolved = alarm.state is AlarmState.RESOLVED
    title = f"{'RESOLVED' if resolved else 'ALARM'} {alarm.kind.replace('_', ' ')}"
    about = [f"id {alarm.id}", f"{alarm.at:%Y-%m-%d %H:%M} UTC"]
    if alarm.false_alarm_rate is not None:
        about.append(f"false alarms: {100 * alarm.false_alarm_rate:.2g}% of looks")
    text = alarm.message if alarm.cause is None else f"{alarm.message}\n{alarm.cause}"
    drawn = [_drawn(shape) for shape in alarm.shapes]
    return {
        "text": f"{title}: {_escaped(alarm.message)}"[:MOST_TEXT],
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:MOST_HEADER]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": _escaped(text)[:MOST_TEXT]}},
            *({"type": "section", "text": {"type": "mrkdwn", "text": one[:MOST_TEXT]}} for one in drawn),
            {"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(" | ".join(about))}]},
        ],
    }


def _drawn(shape: Shape) -> str:
    then, now = shape.sketch()
    name = _escaped(shape.column).replace("`", "'")
    return f"```{name}\ntraining  {then}\nnow       {now}```"


def _escaped(text: str) -> str:
    """Slack's three control characters: a column named `<!channel>` must not wake everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
