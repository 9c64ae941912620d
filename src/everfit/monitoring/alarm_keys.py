"""What an alarm is known by: its kind, what it is about and its causes, as in `drift:7:age,tenure`."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from everfit.records.watch import AlarmKind


def key_of(kind: AlarmKind, about: int | str, causes: Iterable[str]) -> str:
    """The key of an alarm about a version, or about the table of a run.

    >>> key_of(AlarmKind.DRIFT, 7, ["tenure", "age"])
    'drift:7:age,tenure'
    """
    return f"{kind}:{about}:" + ",".join(sorted({quote(cause, safe=" ") for cause in causes}))


def split(key: str) -> tuple[str, set[str]]:
    """Kind and subject, and the causes, quoted as in the key.

    >>> split("drift:7:age")
    ('drift:7', {'age'})
    """
    subject, _, causes = key.rpartition(":")
    return subject, set(causes.split(","))
