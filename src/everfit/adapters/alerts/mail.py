"""An alarm as a mail: plain text, and the same as HTML with its pictures inside the mail."""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from html import escape

from everfit.adapters.alerts.png import png
from everfit.records.shape import Shape
from everfit.records.watch import Alarm, AlarmState


def mail(alarm: Alarm, project: str, sender: str, to: Sequence[str]) -> EmailMessage:
    """The alarm as a mail; control characters of column names are taken out of its headers."""
    found = EmailMessage()
    resolved = alarm.state is AlarmState.RESOLVED
    line = f"[{project}] {'resolved: ' if resolved else ''}{alarm.kind.replace('_', ' ')}: {alarm.message}"
    found["Subject"] = "".join(c if c.isprintable() else " " for c in line)[:200]
    found["From"], found["To"], found["Date"] = sender, ", ".join(to), format_datetime(alarm.at)
    domain = sender.rpartition("@")[2]
    opened = f"<everfit-{alarm.id}@{domain}>"
    found["Message-ID"] = f"<everfit-{alarm.id}-{alarm.state}@{domain}>" if resolved else opened
    if resolved:
        found["In-Reply-To"] = found["References"] = opened
    rate = alarm.false_alarm_rate
    parts = [
        alarm.message,
        alarm.cause or "",
        "" if rate is None else f"False alarms of this kind: {100 * rate:.2g}% of looks.",
        f"Alarm {alarm.id}: everfit acknowledge {alarm.id}, or everfit resolve {alarm.id}",
    ]
    parts = [part for part in parts if part]
    drawn = [f"{shape.column}\n  training  {then}\n  now       {now}" for shape in alarm.shapes
             for then, now in [shape.sketch()]]  # fmt: skip
    found.set_content("\n\n".join([*parts[:-1], *drawn, parts[-1]]) + "\n")
    if alarm.shapes:
        _illustrate(found, parts, alarm.shapes)
    return found


def _illustrate(found: EmailMessage, parts: list[str], shapes: Sequence[Shape]) -> None:
    """The same as HTML with the pictures inside the mail, beside the plain text."""
    names = [make_msgid() for _ in shapes]
    pictures = "".join(
        f"<p><b>{escape(shape.column)}</b> (grey: training, blue: now; {escape(shape.labels[0])} to "
        f'{escape(shape.labels[-1])})<br><img src="cid:{name[1:-1]}" alt="{escape(shape.column)}" width="480"></p>'
        for name, shape in zip(names, shapes, strict=True)
    )
    texts = [f"<p>{escape(part)}</p>" for part in parts]
    page = EmailMessage()
    page.set_content("".join([*texts[:-1], pictures, texts[-1]]), subtype="html")
    for name, shape in zip(names, shapes, strict=True):
        page.add_related(png(shape), "image", "png", cid=name)
    del page["MIME-Version"]
    found.make_alternative()
    found.attach(page)
