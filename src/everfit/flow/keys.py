"""API keys: made, listed, taken back; what is stored of them opens nothing."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

from everfit import atomic
from everfit.errors import ReleaseError, StorageError
from everfit.ports import StateStore
from everfit.records.access import KeyEvent, Role
from everfit.records.codec import decode, encode

STREAM = "keys"
_PREFIX = "everfit_"
_COPY = "keys.json"


def current(state: StateStore) -> Mapping[str, KeyEvent]:
    """The keys that open something, by name."""
    found: dict[str, KeyEvent] = {}
    for number, text in state.read(STREAM):
        event = decode(KeyEvent, text, where=f"key event {number}")
        found[event.name] = event
    return {name: event for name, event in found.items() if event.roles}


def followed(state: StateStore, folder: Path) -> Mapping[str, KeyEvent]:
    """The keys now, kept in the folder for a server that starts while the state store is away. Raises StorageError
    when it is away and nothing was kept."""
    copy = folder / _COPY
    try:
        found = current(state)
    except StorageError:
        if not copy.is_file():
            raise
        return decode(dict[str, KeyEvent], copy.read_bytes(), where=str(copy))
    text = encode(found)
    if not copy.is_file() or copy.read_bytes() != text:
        atomic.write(copy, text, what="the copy of the keys")
    return found


def add(state: StateStore, name: str, roles: tuple[Role, ...], by: str, at: datetime | None = None) -> str:
    """Makes a key of 256 random bits, stores its digest, and returns it: nobody can say it again. Raises ReleaseError
    when the name is taken."""
    if name in current(state):
        raise ReleaseError(
            f"there is a key of the name {name!r}", where="keys", fix=f"choose another, or `everfit keys remove {name}`"
        )
    key = _PREFIX + secrets.token_urlsafe(32)
    event = KeyEvent(name, tuple(dict.fromkeys(roles)), digest(key.encode()), at or datetime.now(UTC), by)
    state.append(STREAM, encode(event))
    return key


def remove(state: StateStore, name: str, by: str, at: datetime | None = None) -> None:
    """Takes a key back; servers refuse it within `serving.refresh`. Raises ReleaseError when there is none."""
    known = current(state)
    if name not in known:
        raise ReleaseError(
            f"there is no key of the name {name!r}", where="keys", fix=f"there are: {', '.join(known) or 'none'}"
        )
    state.append(STREAM, encode(KeyEvent(name, (), known[name].digest, at or datetime.now(UTC), by)))


def holder(state: StateStore, key: str, roles: Collection[Role]) -> str:
    """The name of a key that opens what one of the roles opens. Raises ReleaseError for any other key."""
    given = digest(key.strip().encode())
    found = next((event for event in current(state).values() if hmac.compare_digest(event.digest, given)), None)
    if found is None:
        raise ReleaseError("the key is not known", where="keys", fix="it may have been taken back: `everfit keys list`")
    if not set(roles) & set(found.roles):
        raise ReleaseError(
            f"the key of {found.name} has the role {', '.join(found.roles)}, and needs {' or '.join(sorted(roles))}",
            where="keys",
            fix="ask for a key with another role",
        )
    return found.name


def digest(key: bytes) -> str:
    """What is stored of a key. One hash is enough: 256 random bits are not found by trying."""
    return hashlib.sha256(key).hexdigest()
