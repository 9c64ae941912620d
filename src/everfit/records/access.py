"""Who may ask a server for what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a key opens: predictions, labels, what operators look at and approvals, or all of it."""

    PREDICT = "predict"
    FEEDBACK = "feedback"
    OPERATE = "operate"
    ADMIN = "admin"


APPROVERS = frozenset({Role.OPERATE, Role.ADMIN})  # whose keys may allow a version


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """A key was made, or taken back when it has no roles. `digest` is the SHA-256 of the key in hex; the key itself is
    stored nowhere."""

    name: str
    roles: tuple[Role, ...]
    digest: str
    at: datetime
    by: str
